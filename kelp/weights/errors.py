"""What can go wrong between a card's `weights` and the files on this machine."""

from __future__ import annotations

from kelp.errors import KelpError


class WeightsError(KelpError):
    """Weights that cannot be had, or are not what the card says. Addresses in the text show no credentials."""

    default_code = "weights"


class Interrupted(Exception):
    """A transfer broke off in a way that another try, from where it stopped, may mend."""
