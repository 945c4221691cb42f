"""Every name that a user may set, in one place: a model's settings (`model`) and a process's (`process`)."""
