"""ExpW, "Expression in-the-Wild": whole photos with face boxes, or its cleaned face crops with votes."""
