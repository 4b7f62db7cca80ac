"""The parts of every training run: config, optimiser, checkpoints, workers, seeds."""
