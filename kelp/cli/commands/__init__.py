"""One module a command; each has `app`, and none is imported before it is wanted."""
