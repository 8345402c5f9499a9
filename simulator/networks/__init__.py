"""The embedded ConvNet, the images it was trained on, and its training."""
