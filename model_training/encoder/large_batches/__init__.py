"""Large batches of hard negatives: mined look-alikes, and stored features of early layers."""
