"""One process that serves: start, stop, slow clients, the probe of a container."""
