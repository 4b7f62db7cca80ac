"""Write confirmed and rejected matches as a data set for training."""
