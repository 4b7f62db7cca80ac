"""How candidates are weighed: their probabilities, checks, and the verdict."""
