"""Lists as CSV and GeoJSON, and the choice of the representation that a client accepts."""
