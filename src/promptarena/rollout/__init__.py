"""The way of a change to its users: stages, the transitions between them, and who may make which when."""
