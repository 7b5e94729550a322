"""Sources: where rows come from, a page a format."""
