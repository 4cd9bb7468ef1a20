"""REST under /api/v1, the session WebSocket's door, health, metrics, and the console's files."""
