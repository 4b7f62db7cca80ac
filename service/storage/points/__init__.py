"""What both galleries share: payloads, filters and paging of Qdrant points."""
