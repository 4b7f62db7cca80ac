"""The use cases in the analyst's words: enrol, match, verify. Knows no vendor."""
