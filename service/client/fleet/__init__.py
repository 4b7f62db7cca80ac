"""Read vessels and chip files that are to be enrolled, from folders and CSV manifests."""
