"""What modules are trained on, a page a kind: tensors and arrays, datasets, loaders, files and tables."""
