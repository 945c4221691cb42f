"""Reading ultralytics checkpoints (`.pt`) without trusting them: scanned first, then unpickled with a short list."""

from predictors.yolo.checkpoint.read import read_checkpoint

__all__ = ["read_checkpoint"]
