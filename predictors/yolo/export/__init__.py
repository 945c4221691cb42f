"""From a checkpoint to a file of another engine, kept only where it finds what the checkpoint finds."""
