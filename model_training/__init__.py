"""Offline code: simulates ships, trains encoder and translator, evaluates and calibrates them."""
