"""Read what the models are taught and tested with."""
