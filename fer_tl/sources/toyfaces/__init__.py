"""Faces drawn by code."""
