"""Projects and webhooks of CVAT from one file: what they are to be, what they are, and what makes the one the other."""
