"""What the tests on a real cluster and its benchmark have in common."""
