"""Drawn faces, made by code."""
