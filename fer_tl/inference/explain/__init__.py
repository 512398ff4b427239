"""What the answers of a model depend on."""
