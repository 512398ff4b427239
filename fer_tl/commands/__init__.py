"""One module for each command: its arguments, what it does, what it returns."""
