"""ExpW: photos and the list of their labelled faces."""
