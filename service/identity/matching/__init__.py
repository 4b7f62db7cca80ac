"""Match chips with vessels, compare two chips, store matches, and group open sightings."""
