"""A card's weights as verified local files, wherever they lie: a path, https, s3, gs or hf."""

from kelp.weights.cache import default_cache
from kelp.weights.check import weights_faults
from kelp.weights.errors import WeightsError
from kelp.weights.fetch import Progress, fetch, is_cached

__all__ = ["Progress", "WeightsError", "default_cache", "fetch", "is_cached", "weights_faults"]
