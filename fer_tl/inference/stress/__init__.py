"""Images that a run held out, corrupted, and how often it is still right."""
