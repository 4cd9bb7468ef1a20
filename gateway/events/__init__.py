"""What happened, in order and numbered; and the session WebSocket that carries it to a browser and its wishes back."""
