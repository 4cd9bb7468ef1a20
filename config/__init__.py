"""What the operator wants: pure models and one loader."""
