"""What is done to images inside the training step."""
