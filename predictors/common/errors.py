"""What can be wrong with a model's files. The text is for people: it names the file and what was expected."""

from __future__ import annotations

from kelp.errors import KelpError


class WeightsError(KelpError):
    """Weights that cannot be used: unreadable, of another task, or at odds with the card."""

    default_code = "invalid_weights"


class UntrustedWeights(WeightsError):
    """A checkpoint that asks for more than a YOLO checkpoint needs. Nothing of it was unpickled."""

    default_code = "untrusted_weights"
