"""The table of a model's settings: card field, V2 parameter, webhook parameter and Nuclio variable come from it.

A setting stands in the card (`settings:`), is overridden under the same name by a V2 request's parameter or a webhook's
query, and is taken from a Nuclio function's environment when that function is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kelp.errors import InvalidRequest

Kind = Literal["float", "int", "bool", "choice"]
DETECTORS = frozenset({"segment", "detect", "pose"})
TASKS_FOR_RUNS: Mapping[str, frozenset[str]] = {"detect": DETECTORS, "remove-grid": frozenset({"inpaint"})}
"""Kind of run → tasks of the models that can do it; a kind that is not here needs no model."""


@dataclass(frozen=True, slots=True)
class ModelSetting:
    """One setting. `default=None` means unset: whoever uses it decides. Bounds are inclusive."""

    name: str
    kind: Kind
    default: float | int | bool | str | None
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    nuclio: str | None = None
    tasks: frozenset[str] = DETECTORS

    def parse(self, value: Any, *, where: str = "parameter") -> Any:
        """`value` as this setting's type; numbers and booleans are also accepted as strings.

        Raises InvalidRequest naming the setting, what was given and what was expected.
        """
        expected = self.expected()
        parsed: Any = _PARSERS[self.kind](value)
        if parsed is None or not self._allows(parsed):
            raise InvalidRequest(
                f"{where} '{self.name}': expected {expected}, got {_shown(value)}", code="invalid_parameter"
            )
        return parsed

    def _allows(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choices
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def expected(self) -> str:
        """What a valid value looks like, for messages and docs."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "bool":
            return "true or false"
        noun = "a number" if self.kind == "float" else "an integer"
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        return noun if self.minimum is None else f"{noun} of at least {self.minimum:g}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _as_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None


def _as_int(value: Any) -> int | None:
    number = _as_float(value)
    return int(number) if number is not None and number.is_integer() else None


def _as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _as_word(value: Any) -> str | None:
    return value.strip().lower() if isinstance(value, str) else None


_PARSERS: dict[Kind, Callable[[Any], Any]] = {
    "float": _as_float,
    "int": _as_int,
    "bool": _as_bool,
    "choice": _as_word,
}

SHAPES = ("auto", "polygon", "polyline", "mask", "rectangle")
IMAGE_FORMATS = ("png", "jpeg")

MODEL_SETTINGS: tuple[ModelSetting, ...] = (
    ModelSetting(
        "conf_threshold", "float", 0.25, "detections below this score are dropped", 0.0, 1.0, nuclio="CONF_THRESHOLD"
    ),
    ModelSetting(
        "iou_threshold", "float", 0.5, "overlap above which the weaker of two boxes goes", 0.0, 1.0,
        nuclio="IOU_THRESHOLD",
    ),
    ModelSetting(
        "conv_mask_to_poly", "bool", None,
        "true: outer contours as polygons; false: masks; unset: the label's own type decides",
        nuclio="CONVERT_TO_POLYLINE",
    ),
    ModelSetting("shape", "choice", "auto", "the kind of shape that is written", choices=SHAPES),
    ModelSetting(
        "use_template_matching", "bool", True, "match found points to the template", nuclio="USE_TEMPLATE_MATCHING",
        tasks=frozenset({"pose"}),
    ),
    ModelSetting(
        "grid_line_width", "float", 8.0, "width of a removed line, in pixels of the original image", 1.0, 1000.0,
        nuclio="GRID_LINE_WIDTH", tasks=frozenset({"inpaint"}),
    ),
    ModelSetting(
        "simplify_px", "float", 1.0, "how far a polygon may leave its contour, in pixels of the original image",
        0.0, 1000.0, tasks=frozenset({"segment"}),
    ),
    ModelSetting("max_detections", "int", 300, "at most so many detections an image", 1, 10_000),
    ModelSetting(
        "format", "choice", "png", "of images that come back", choices=IMAGE_FORMATS, tasks=frozenset({"inpaint"})
    ),
    ModelSetting("quality", "int", 95, "of JPEGs that come back", 1, 100, tasks=frozenset({"inpaint"})),
)  # fmt: skip


# V2's and Triton's own request parameters: they pass, and mean nothing to a model.
PROTOCOL_PARAMETERS = frozenset(
    {
        "binary_data_output", "binary_data_size", "content_type", "headers", "priority", "sequence_end", "sequence_id",
        "sequence_start", "timeout", "triton_enable_empty_final_response", "triton_final_response",
    }
)  # fmt: skip
# These would change what is read or answered, so they are refused rather than ignored.
REFUSED_PARAMETERS = ("shared_memory_", "classification")


def settings_of(task: str, own: Iterable[ModelSetting] = ()) -> dict[str, ModelSetting]:
    """The settings that a model of `task` has, the runtime's `own` ones included, by name."""
    return {s.name: s for s in (*MODEL_SETTINGS, *own) if not s.tasks or task in s.tasks}


def parse_settings(
    given: Mapping[str, Any], known: Mapping[str, ModelSetting], *, where: str = "parameter"
) -> dict[str, Any]:
    """`given` checked against `known`; an unknown name is an InvalidRequest that names it and what there is."""
    parsed: dict[str, Any] = {}
    for name, value in given.items():
        setting = known.get(name)
        if setting is None:
            raise InvalidRequest(
                f"unknown {where} '{name}'; this model has: {', '.join(sorted(known))}", code="unknown_parameter"
            )
        parsed[name] = setting.parse(value, where=where)
    return parsed


def effective_settings(
    known: Mapping[str, ModelSetting],
    card: Mapping[str, Any],
    overrides: Mapping[str, Any],
    *,
    where: str = "parameter",
) -> dict[str, Any]:
    """Defaults, then the card's settings, then `overrides`: a value for every known setting (None = unset)."""
    values = {name: setting.default for name, setting in known.items()}
    values.update(parse_settings(card, known, where="card setting"))
    values.update(parse_settings(overrides, known, where=where))
    return values
