"""What training, export and serving must agree on: one code path for all three."""
