"""What every training run needs: config, optimiser, checkpoints, workers, seeds."""
