"""Finding the ship in a loose crop, setting it upright and tight, and judging the chip."""
