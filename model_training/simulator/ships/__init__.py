"""Ships in 3-D: types, hulls, decks, fittings, and one visit of a ship."""
