"""The server process: start and stop, time limits for slow clients, the health check."""
