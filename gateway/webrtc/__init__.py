"""Browsers and standard WebRTC clients: Opus packets in and out, never a sample."""
