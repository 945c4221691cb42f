"""The runs that make a task from a task: quadrats cropped out of their photographs, string grids removed."""
