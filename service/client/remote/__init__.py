"""The Python client of the HTTP API, which users import as `crossfix`."""
