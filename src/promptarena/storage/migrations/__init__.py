"""Numbered changes of the registry's tables, applied in order; one that was released is never edited."""
