"""What to create in CVAT and what to delete there: pure functions of what is wanted, what is ours and what is there."""
