"""One training step, on TensorFlow or JAX: its plan, loss and optimizer."""
