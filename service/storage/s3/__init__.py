"""Chips and bundles in an S3 bucket."""
