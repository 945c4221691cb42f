"""HTTP in: webhooks, the runs API, health and metrics."""
