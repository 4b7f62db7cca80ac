"""The records of the domain: vessels, sightings, matches, claims."""
