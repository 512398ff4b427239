"""Metrics, intervals, tests, calibration and ensembles of saved predictions, and the opening of a split."""
