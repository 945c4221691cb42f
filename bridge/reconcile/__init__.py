"""Catching up on what CVAT could not deliver, and letting go of what nobody needs any more."""
