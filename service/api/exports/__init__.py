"""Lists as CSV and GeoJSON, and the choice of the format by the header `Accept`."""
