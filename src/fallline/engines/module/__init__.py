"""The engine for PyTorch modules. Only here, in `torch`, `networks` and `parallel` is PyTorch imported."""
