"""Model calls: what is sent, what comes back, and how long it took."""
