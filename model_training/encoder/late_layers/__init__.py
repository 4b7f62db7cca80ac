"""Training of an encoder's late layers on stored features of its early layers."""
