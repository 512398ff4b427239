"""The loop, folds, session, checkpoints, stages, schedules and features."""
