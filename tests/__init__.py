"""A package, so that no other package named `tests` that an installation brings takes its place."""
