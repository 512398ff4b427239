"""Anyone's own images in class folders."""
