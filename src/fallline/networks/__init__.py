"""Networks that come with fallline, and functions of users' own that make some."""
