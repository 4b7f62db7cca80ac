"""Use cases: enrol, match, judge, verify. Imports no store client, no HTTP and no model."""
