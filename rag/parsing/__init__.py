"""What parsing jobs ask for: their parameters, and how parsed text is laid out as their results."""
