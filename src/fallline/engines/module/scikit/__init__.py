"""What scikit-learn's networks mean by their optimizers and losses, where PyTorch means something else; and all of it fast."""
