"""Radio legs: one worker process per donor radio, its link to the gateway, and the supervisor that keeps it alive."""
