"""What a user declares: frozen types, the rules they obey, and how they are read from files."""
