"""What the file wants CVAT to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from kelp.card import Label
from kelp.pipeline.cards import Cards, detected, labels_of_project, mapped_beyond
from kelp.pipeline.errors import PipelineError
from kelp.pipeline.judging import refuse_settings, refuse_task
from kelp.pipeline.marks import Mark, marked
from kelp.pipeline.schema import Crop, Detect, Pipeline, RemoveGrid, bridge_address

PATHS = {
    "detect": "/detect-model-webhook",
    "crop": "/crop-quadrat-and-create-new-task-webhook",
    "remove-grid": "/remove-grid-and-create-new-task-webhook",
}
EVENTS = {
    "detect": ("create:job", "update:job"),
    "crop": ("update:job", "update:task"),
    "remove-grid": ("update:job", "update:task"),
}
Spec = Detect | Crop | RemoveGrid


@dataclass(frozen=True, slots=True)
class WantedWebhook:
    """target: the key of the project that new tasks go to, "" for a detection; model: the one that it calls, if any;
    parameters: of its address, without the target's id."""

    mark: Mark
    kind: str
    base: str
    parameters: tuple[tuple[str, str], ...]
    target: str
    model: str
    description: str
    is_active: bool
    enable_ssl: bool

    @property
    def events(self) -> tuple[str, ...]:
        return EVENTS[self.kind]

    def url(self, ids: Mapping[str, int]) -> str:
        """Its address; where the target has no id yet, its key in brackets stands there."""
        pairs = [*self.parameters]
        if self.target:
            pairs.insert(0, ("target_proj_id", str(ids.get(self.target, f"<{self.target}>"))))
        return f"{self.base}{PATHS[self.kind]}?{urlencode(pairs, quote_via=quote, safe=',:<>')}"


@dataclass(frozen=True, slots=True)
class WantedProject:
    """id: of a project that is there already and is named by it. mapped: labels beyond `labels` that a `label_map`
    leads to, made where they are missing, else left as they are."""

    mark: Mark
    name: str
    id: int | None
    labels: tuple[Label, ...]
    mapped: tuple[Label, ...]
    webhooks: tuple[WantedWebhook, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """projects: by their key in the file, in its order."""

    pipeline: str
    bridge: str
    secret_from: str
    projects: Mapping[str, WantedProject]

    def webhooks(self) -> list[WantedWebhook]:
        return [webhook for project in self.projects.values() for webhook in project.webhooks]


def wanted_of(pipeline: Pipeline, cards: Cards, *, source: str, bridge: str = "", public_url: str = "") -> Wanted:
    """All that `pipeline`, read from `source`, wants. PipelineError names the field.

    bridge: goes before the file's own address; public_url: what counts where neither says it.
    """
    base = _bridge(bridge or pipeline.bridge or public_url, source)
    projects = {}
    for key, project in pipeline.projects.items():
        place = f"{source}: projects.{key}"
        webhooks = []
        for name, spec in project.webhooks.items():
            mark = Mark(pipeline.name, key, name)
            webhooks.append(_webhook(mark, spec, base, pipeline.enable_ssl, cards, f"{place}.webhooks.{name}"))
        labels = labels_of_project(project, cards, place)
        mapped = mapped_beyond(labels, project, cards, place)
        mark = Mark(pipeline.name, key)
        name = project.name or key
        projects[key] = WantedProject(mark, name, project.id, tuple(labels), tuple(mapped), tuple(webhooks))
    names = [project.name for project in projects.values() if project.id is None]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PipelineError(f"{source}: projects: two have the name '{twice[0]}'")
    return Wanted(pipeline.name, base, pipeline.secret_from, projects)


def same_address(one: str, other: str) -> bool:
    """Whether both mean the same, however their parameters are ordered and encoded."""

    def parts(address: str) -> tuple[object, ...]:
        split = urlsplit(address)
        pairs = sorted(parse_qsl(split.query, keep_blank_values=True))
        return split.scheme, split.netloc.lower(), split.path, pairs

    return parts(one) == parts(other)


def target_id(address: str) -> int | None:
    """The id of the project that a webhook's address sends new tasks to."""
    given = dict(parse_qsl(urlsplit(address).query)).get("target_proj_id", "")
    return int(given) if given.isascii() and given.isdigit() else None


def _bridge(address: str, source: str) -> str:
    if not address:
        raise PipelineError(
            f"{source}: bridge: not there, and KELP_PUBLIC_URL is not set: which address has the bridge for CVAT?"
        )
    try:
        return bridge_address(address)
    except ValueError as error:
        raise PipelineError(f"{source}: bridge: {error}, got {address!r}") from None


def _webhook(mark: Mark, spec: Spec, base: str, enable_ssl: bool, cards: Cards, place: str) -> WantedWebhook:
    if not isinstance(spec, Crop):
        refuse_task(spec, cards, place)
    match spec:
        case Detect():
            kind, target, model = "detect", "", spec.model
            parameters = _detect_parameters(spec, cards, place)
            told = f"Kelp: {model}"
        case Crop():
            kind, target, model = "crop", spec.target, ""
            parameters = _plain(spec, "on", "label", "size", "format", "quality", "skip_invalid")
            told = f"Kelp: crop to {target}"
        case RemoveGrid():
            kind, target, model = "remove-grid", spec.target, spec.model
            parameters = _plain(spec, "on", "grid_line_width", "format", "quality", "skip_invalid")
            parameters = [("model_name", model), *parameters]
            told = f"Kelp: grid off, to {target}"
    description = marked(spec.description or told, mark)
    return WantedWebhook(
        mark, kind, base, tuple(parameters), target, model, description, spec.is_active, enable_ssl
    )  # fmt: skip


def _detect_parameters(spec: Detect, cards: Cards, place: str) -> list[tuple[str, str]]:
    pairs = [("model_name", spec.model), *_plain(spec, "on", "labels", "existing", "conv_mask_to_poly", "shape")]
    if spec.label_map:
        pairs.append(("label_map", ",".join(f"{name}:{to or ''}" for name, to in spec.label_map.items())))
    card = cards.cards.get(spec.model)
    if card is not None and card.labels:
        detected(spec, card.labels, f"{place}.detect")  # which refuses labels that the model lacks
    refuse_settings(spec, cards, place)
    pairs += [(name, _text(value)) for name, value in spec.settings.items()]
    return pairs


def _plain(spec: Spec, *names: str) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name in names if (value := getattr(spec, name)) is not None]


def _text(value: bool | float | str | Sequence[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
