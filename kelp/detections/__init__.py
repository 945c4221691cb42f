"""What a model found: per image as a predictor hands it over, and as columns as it travels and is written back."""

from kelp.detections.columns import Detections
from kelp.detections.predictions import Predictions

__all__ = ["Detections", "Predictions"]
