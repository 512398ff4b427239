"""Programs that show trainings beside each other: each is told of settings, epochs and results, and decides nothing."""
