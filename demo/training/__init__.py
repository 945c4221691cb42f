"""Training of the small weights on the synthetic reef."""
