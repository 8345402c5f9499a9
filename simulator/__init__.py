"""Neurons in silico: an acquisition peer that sees the images and answers with spikes."""
