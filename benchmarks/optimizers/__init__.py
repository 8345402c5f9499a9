"""Every search beside every other: on units of the embedded ConvNet and on neurons whose preference is known.

    python -m benchmarks.optimizers                 # runs what is not yet on record: hours; then table and plot
    python -m benchmarks.optimizers --report        # table and plot of what is on record

docs/optimizers.md says what came of it. `benchmarks.optimizers_synthetic` has a world in numpy, of 4096 dimensions.
"""
