"""Runs: who gets a turn, in which process, as which workflow, and what becomes of them."""
