"""Networks that come with fallline. Importing this costs nothing; its modules import PyTorch."""
