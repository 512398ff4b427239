"""Backbones, heads and published weights."""
