"""Read, simulate, store, sample and augment the chips of training and evaluation."""
