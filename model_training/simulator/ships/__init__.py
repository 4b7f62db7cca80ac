"""Ships in 3-D: types, hulls, decks, fittings, and what changes between two sightings."""
