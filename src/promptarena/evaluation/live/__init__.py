"""Duels whose answers and judgments are made now: calls, their files, what is missing and how to go on."""
