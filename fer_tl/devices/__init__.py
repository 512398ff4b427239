"""Accelerators, and the machines that train together."""
