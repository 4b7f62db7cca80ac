"""What talks to a running service: registering fleets, asking about chips, and the demo."""
