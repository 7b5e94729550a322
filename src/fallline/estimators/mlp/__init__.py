"""Multi-layer perceptrons with scikit-learn's parameters."""
