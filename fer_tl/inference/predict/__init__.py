"""Faces in pictures and videos, and what a run sees in them."""
