"""A judge held against people: what both said of the same answers, and whether it may be trusted."""
