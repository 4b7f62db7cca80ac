"""Train with mined look-alikes in large batches, if wanted on stored features of early layers."""
