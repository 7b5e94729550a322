"""For PyTorch users."""
