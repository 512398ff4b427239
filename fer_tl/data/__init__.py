"""A built dataset: load, verify, fold and merge it."""
