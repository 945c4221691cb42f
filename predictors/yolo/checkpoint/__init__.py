"""Reading ultralytics checkpoints (`.pt`) without trusting them: scanned first, then unpickled with a short list."""
