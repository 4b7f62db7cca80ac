"""Turn evidence into probabilities and verdicts: the manifest's parameters, and the rules."""
