"""Build the parts of a service from its settings and join them."""
