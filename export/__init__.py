"""Make bundles of trained models, which the service verifies and runs."""
