"""Who may talk: pure, sans-I/O, time as an input."""
