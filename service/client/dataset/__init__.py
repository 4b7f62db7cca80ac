"""Write what analysts decided as a data set from which models can learn."""
