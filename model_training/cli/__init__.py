"""The command `crossfix-train`."""
