"""The cards that a pipeline's models have, and the labels that a project gets of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kelp.card import Card, Label
from kelp.card.skeleton import svg_of
from kelp.pipeline.errors import PipelineError
from kelp.pipeline.schema import Detect, ModelLabels, Project
from kelp.settings.model import DETECTORS

AskLabels = Callable[[str], Sequence[Label]]
Judge = Callable[[Card, Mapping[str, Any]], Mapping[str, str]]


def _nobody(model: str) -> Sequence[Label]:
    return ()


def _no_judge(card: Card, settings: Mapping[str, Any]) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Cards:
    """cards: by the model's name; faults: by file, of cards that cannot be read; ask: the labels of a model whose card
    leaves them to its weights, as far as anybody tells; judge: setting → what is wrong with it, of those that only the
    card's runtime knows."""

    folder: Path
    cards: Mapping[str, Card]
    faults: Mapping[str, str] = field(default_factory=dict)
    ask: AskLabels = _nobody
    judge: Judge = _no_judge

    def card(self, model: str, place: str) -> Card:
        """The model's card. PipelineError names `place`, the field that wants it."""
        if model in self.cards:
            return self.cards[model]
        there = ", ".join(sorted(self.cards)) or "none"
        broken = "".join(f"\n{fault}" for fault in self.faults.values())
        raise PipelineError(f"{place}: no card '{model}' in {self.folder} (KELP_MODELS); there are: {there}{broken}")

    def labels(self, model: str, place: str) -> list[Label]:
        """The model's labels, skeletons drawn. PipelineError where nobody knows them."""
        card = self.card(model, place)
        if not card.labels and card.task not in DETECTORS:
            raise PipelineError(f"{place}: '{model}' has no labels: its task is {card.task}")
        found = list(card.labels) or list(self.ask(model))
        if not found:
            raise PipelineError(
                f"{place}: the card of '{model}' leaves its labels to the weights, and no model server tells them "
                f"(KELP_V2_URL): write them into the card, or start and call the model once"
            )
        return [_drawn(label, card.grid_shape) for label in found]


def labels_of_project(project: Project, cards: Cards, place: str) -> list[Label]:
    """Every label that `project` is to have, in order. Labels written out in the file go before those of cards.

    PipelineError names the field below `place`.
    """
    own: dict[str, Label] = {}
    of_models: list[tuple[str, Label]] = []
    if project.labels is None:
        for name, webhook in project.webhooks.items():
            if isinstance(webhook, Detect):
                where = f"{place}.webhooks.{name}.detect"
                of_models += [(where, label) for label in detected(webhook, cards.labels(webhook.model, where), where)]
    for index, entry in enumerate(project.labels or ()):
        where = f"{place}.labels.{index}"
        if isinstance(entry, Label):
            if entry.name in own:
                raise PipelineError(f"{where}: the label '{entry.name}' stands twice")
            own[entry.name] = _drawn(entry, None)
            continue
        model = (entry.model if isinstance(entry, ModelLabels) else entry).replace("@", "-")
        forced = entry.type if isinstance(entry, ModelLabels) else None
        of_models += [(where, _typed(label, forced, where)) for label in cards.labels(model, where)]
    found: dict[str, Label] = {}
    for where, label in of_models:
        known = own.get(label.name) or found.setdefault(label.name, label)
        if label.name not in own and not same_kind(known, label):
            raise PipelineError(
                f"{where}: label '{label.name}' is of type {label.type} here and {known.type} in another card: write "
                "it out in labels"
            )
    return [*found.values(), *own.values()]


def mapped_beyond(labels: Sequence[Label], project: Project, cards: Cards, place: str) -> list[Label]:
    """What a `label_map` leads to beyond `labels`, those that the file writes out: the bridge fails every run whose map
    leads to a label that the project lacks. Nothing of a model whose labels nobody tells here."""
    found: dict[str, Label] = {}
    known = {label.name.casefold() for label in labels}
    for name, webhook in project.webhooks.items():
        if not isinstance(webhook, Detect) or webhook.model not in cards.cards or not mapped_to(webhook):
            continue
        where = f"{place}.webhooks.{name}.detect"
        try:
            told = cards.labels(webhook.model, where)
        except PipelineError:
            continue
        for label in detected(webhook, told, where):
            if label.name in mapped_to(webhook) and label.name.casefold() not in known:
                found.setdefault(label.name, label)
    return list(found.values())


def mapped_to(webhook: Detect) -> set[str]:
    """The project's labels that its `label_map` leads to."""
    kept = webhook.label_map.items()
    return {to for name, to in kept if to and (webhook.labels is None or name in webhook.labels)}


def detected(webhook: Detect, labels: Sequence[Label], place: str) -> list[Label]:
    """What of a model's `labels` arrives in the project, under the names that it gets there."""
    names = [label.name for label in labels]
    for field_name, wanted in (("labels", webhook.labels or ()), ("label_map", webhook.label_map)):
        if unknown := [name for name in wanted if name not in names]:
            where = place.removesuffix("detect") + field_name
            raise PipelineError(f"{where}: {webhook.model} has no label '{unknown[0]}'; it has: {', '.join(names)}")
    found: dict[str, Label] = {}
    for label in labels:
        if webhook.labels is not None and label.name not in webhook.labels:
            continue
        name = webhook.label_map.get(label.name, label.name)
        if name:
            renamed = label if name == label.name else label.model_copy(update={"name": name, "color": None})
            found.setdefault(name, renamed)
    return list(found.values())


def same_kind(one: Label, other: Label) -> bool:
    """Whether one label of a project can stand for both."""
    return one.type == other.type and {s.name for s in one.sublabels} == {s.name for s in other.sublabels}


def _drawn(label: Label, grid_shape: tuple[int, int] | None) -> Label:
    return label.model_copy(update={"svg": svg_of(label, grid_shape)}) if label.type == "skeleton" else label


def _typed(label: Label, kind: str | None, place: str) -> Label:
    if kind is None or kind == label.type:
        return label
    if "skeleton" in (kind, label.type):
        raise PipelineError(f"{place}.type: '{label.name}' is a {label.type}: a skeleton stays one")
    return label.model_copy(update={"type": kind})
