"""The code that training, export and serving share, so that all three agree."""
