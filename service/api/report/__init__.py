"""The evidence report of a match: one page of HTML made for print."""
