"""Match records and open sightings in SQLite files, which take disk and hardly any memory."""
