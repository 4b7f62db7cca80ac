"""What `calibrate` is made of: replayed searches, the logistic fit, operating points, reports."""
