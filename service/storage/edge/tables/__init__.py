"""Tables of embeddings and filterable fields, by which the embedded gallery searches."""
