"""What a webhook says: pure functions from bytes, query and payload to meaning. No input or output here."""
