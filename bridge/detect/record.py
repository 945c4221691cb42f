"""What a run was made with, for whoever looks at it later."""

from __future__ import annotations

from typing import Any

from bridge.detect.labels import Resolution
from bridge.detect.reading import Work
from bridge.events.parameters import DetectParameters
from bridge.models.card import ModelCard
from kelp.settings.model import settings_of


def record_of(work: Work, card: ModelCard, parameters: DetectParameters, resolution: Resolution) -> dict[str, Any]:
    """The model and its weights, the effective settings, and where its labels go."""
    known = settings_of(card.task) if card.task else {}
    defaults = {name: setting.default for name, setting in known.items()}
    return {
        "model": {
            "name": card.name,
            "base": card.base,
            "version": card.version,
            "title": card.title,
            "sha256": dict(card.sha256),
        },
        "settings": {**defaults, **card.settings, **parameters.settings},
        "labels": {name: target.kind for name, target in resolution.targets.items()},
        "labels_missing": list(resolution.missing),
        "frames_deleted": work.deleted,
    }
