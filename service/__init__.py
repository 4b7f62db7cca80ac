"""Crossfix: identify a ship across optical and radar satellites."""
