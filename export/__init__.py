"""Trained models -> a bundle that the service can prove and run."""
