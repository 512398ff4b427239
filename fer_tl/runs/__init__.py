"""What lies in a run's folder: its identity, checks, predictions and models."""
