"""Clients of a running service: enrolling fleets, matching chips, and the demo."""

DEFAULT_URL = "http://127.0.0.1:8080"
