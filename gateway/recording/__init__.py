"""What was said, kept: Ogg Opus of the very packets, a catalogue, recall, retention and export."""
