"""A small inpainter with LaMa's interface, for the strings of the reef's quadrats."""
