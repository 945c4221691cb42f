"""Pose models of quadrats: four corners, or the crossings of the string grid, at any turn of the frame."""
