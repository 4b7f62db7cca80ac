"""The command `crossfix`."""
