"""What the sound is: pure code that counts samples and knows no clock, no device and no loop."""
