"""Whether a webhook's model can do what the file asks of it: its task and its settings, as far as its card tells."""

from __future__ import annotations

from kelp.card import Card
from kelp.errors import InvalidRequest
from kelp.pipeline.cards import Cards
from kelp.pipeline.errors import PipelineError
from kelp.pipeline.schema import Detect, RemoveGrid
from kelp.settings.model import TASKS_FOR_RUNS, settings_of

_DOES_NOT = {"detect": "detects nothing", "remove-grid": "removes no grids"}
_OWN_FIELDS = {"model_name", "on", "label_map", "labels", "existing", "conv_mask_to_poly", "shape"}


def task_fault(kind: str, task: str) -> str:
    """Why a model of `task` is of no use to a webhook of `kind`; "" where it is, or nobody knows the task."""
    wanted = TASKS_FOR_RUNS.get(kind)
    if wanted is None or not task or task in wanted:
        return ""
    return f"{_DOES_NOT[kind]}: its task is {task}"


def refuse_task(spec: Detect | RemoveGrid, cards: Cards, place: str) -> None:
    """PipelineError where the model's card says that it does something else; it names those that would do."""
    kind, field = ("detect", "detect") if isinstance(spec, Detect) else ("remove-grid", "model")
    card = cards.cards.get(spec.model)
    if card is None or not (fault := task_fault(kind, card.task)):
        return
    fitting = sorted(name for name, other in cards.cards.items() if other.task in TASKS_FOR_RUNS[kind])
    there = f"those that do: {', '.join(fitting)}" if fitting else f"no card in {cards.folder} does"
    raise PipelineError(f"{place}.{field}: '{spec.model}' {fault}; {there}")


def refuse_settings(spec: Detect, cards: Cards, place: str) -> None:
    """PipelineError for a setting that the model does not have, or whose value it cannot have.

    Those that all runtimes share are known. One of its runtime's own counts where a card names it: from there the
    bridge knows it too. Of a model without a card here the bridge judges.
    """
    card = cards.cards.get(spec.model)
    shared = settings_of(card.task) if card else {}
    own = _own(card, cards) - shared.keys() if card else set(spec.settings)
    theirs = {}
    for name, value in spec.settings.items():
        where = f"{place}.settings.{name}"
        if name in _OWN_FIELDS:
            raise PipelineError(f"{where}: is a field of the webhook itself, beside settings")
        if name in shared:
            try:
                shared[name].parse(value)
            except InvalidRequest as error:
                raise PipelineError(f"{where}: {error.message}") from None
        elif name in own:
            theirs[name] = value
        else:
            there = ", ".join(sorted({*shared, *own} - _OWN_FIELDS))
            raise PipelineError(
                f"{where}: unknown setting; {spec.model} has: {there}. One that only its runtime knows has to stand in "
                "its card's settings as well: the bridge learns of it there"
            )
    if card and theirs:
        for name, told in cards.judge(card, theirs).items():
            raise PipelineError(f"{place}.settings.{name}: {told}")


def _own(card: Card, cards: Cards) -> set[str]:
    """What cards of the same runtime and task name among their settings."""
    alike = [other for other in cards.cards.values() if (other.runtime, other.task) == (card.runtime, card.task)]
    return {name for other in alike for name in other.settings}
