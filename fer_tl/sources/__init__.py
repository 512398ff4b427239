"""Where images come from: one folder for each dataset format."""
