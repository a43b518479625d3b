"""Which unit meets which variant: decided by one digest, the same on every node, with nothing stored."""
