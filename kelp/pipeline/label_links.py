"""Whether a project has the labels that the file gives it, and those that its models' finds arrive under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kelp.card import Label
from kelp.pipeline.cards import Cards, detected, mapped_to
from kelp.pipeline.errors import PipelineError
from kelp.pipeline.findings import Finding, fails, ok, unknown
from kelp.pipeline.labels import counted, match, skeleton_fault, type_fits
from kelp.pipeline.present import PresentProject
from kelp.pipeline.schema import Detect, Project
from kelp.pipeline.wanted import WantedProject

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LabelLinks:
    """The labels of one project. key: its name in the file, spec: what stands there; file: as the user named it."""

    key: str
    spec: Project
    wanted: WantedProject
    there: PresentProject
    cards: Cards
    file: str

    @property
    def _link(self) -> str:
        return f"labels of '{self.wanted.name}'"

    @property
    def _apply(self) -> str:
        return f"`kelp pipeline apply {self.file}`"

    def findings(self) -> list[Finding]:
        """What differs, by who mends it: apply, for labels of the file; a person, for what else a model finds."""
        found = self._of_the_file()
        for name, webhook in self.spec.webhooks.items():
            if isinstance(webhook, Detect):
                found += self._of_webhook(name, webhook)
        labels = (*self.wanted.labels, *self.wanted.mapped)
        if not found and labels:
            found.append(ok(self._link, f"{counted(len(labels), 'label')}, as the models have them"))
        return found

    def _of_the_file(self) -> list[Finding]:
        lacking, found = [], []
        for label in self.wanted.labels:
            row = match(label.name, self.there.labels)
            if row is None:
                lacking.append(label.name)
            elif why := skeleton_fault(label, row):
                told = f"the skeleton '{label.name}' is different: {why}"
                found.append(fails(self._link, told, self._remedy_for_skeletons()))
            elif not type_fits(label.type, row["type"]):
                keep = f"write `type: {row['type']}` in {self.file} to keep it so"
                advice = keep if self.there.tasks else f"{self._apply} changes it"
                found.append(fails(self._link, f"'{label.name}' is of type {row['type']}, not {label.type}", advice))
        lacking += [label.name for label in self.wanted.mapped if match(label.name, self.there.labels) is None]
        if lacking:
            what = f"the {_labels(lacking)} {'is' if len(lacking) == 1 else 'are'} missing"
            found.insert(0, fails(self._link, what, f"{self._apply} adds what is missing"))
        return found

    def _remedy_for_skeletons(self) -> str:
        if not self.there.tasks:
            return f"{self._apply} makes it anew"
        return (
            "delete that label in CVAT (its annotations go along), or begin a new project, with another key and name "
            f"in {self.file}; then {self._apply}"
        )

    def _of_webhook(self, name: str, webhook: Detect) -> list[Finding]:
        place = f"projects.{self.key}.webhooks.{name}.detect"
        if webhook.model not in self.cards.cards:
            return self._astray(name, webhook)
        try:
            arriving = detected(webhook, self.cards.labels(webhook.model, place), place)
        except PipelineError as error:  # the project's labels are written out, and need nobody to know the model's
            return self._astray(name, webhook) or [unknown(self._link, error.message)]
        if not arriving:
            told = f"`labels` and `label_map` of webhook '{name}' drop every label of {webhook.model}"
            return [fails(self._link, told, f"correct them in {self.file}; then {self._apply}")]
        return self._beyond_the_file(name, webhook.model, arriving)

    def _astray(self, name: str, webhook: Detect) -> list[Finding]:
        """Of a model whose labels nobody tells: what its `label_map` leads to, by name alone."""
        planned = {label.name.casefold() for label in self.wanted.labels}
        names = [
            to
            for to in sorted(mapped_to(webhook))
            if to.casefold() not in planned and match(to, self.there.labels) is None
        ]
        if not names:
            return []
        told = (
            f"`label_map` of webhook '{name}' leads to the {_labels(names)}, which the project lacks: every run fails"
        )
        advice = f"write it out in its `labels` in {self.file}, with name and type, or correct the map"
        return [fails(self._link, told, f"{advice}; then {self._apply}")]

    def _beyond_the_file(self, name: str, model: str, arriving: Sequence[Label]) -> list[Finding]:
        """Where the file writes a project's labels out: those of a model that it leaves out, and apply never makes."""
        planned = {label.name.casefold() for label in (*self.wanted.labels, *self.wanted.mapped)}
        beyond = [label for label in arriving if label.name.casefold() not in planned]
        rows = {label.name: match(label.name, self.there.labels) for label in beyond}
        lacking = [each for each, row in rows.items() if row is None]
        faults = {label.name: skeleton_fault(label, row) for label in beyond if (row := rows[label.name]) is not None}
        unsuited = {each: why for each, why in faults.items() if why}
        add = f"add `{model}` to its `labels` in {self.file}; then {self._apply}"
        found = [
            fails(self._link, f"webhook '{name}': '{each}' cannot take what {model} finds: {why}", add)
            for each, why in unsuited.items()
        ]
        if len(lacking) == len(arriving):
            told = f"webhook '{name}': the project has no label of {model}, so every run fails"
            found.append(fails(self._link, told, add))
        elif lacking:
            told = f"webhook '{name}': the project lacks the {_labels(lacking)}; what {model} finds of that is left out"
            found.append(unknown(self._link, told, f"to have it, {add}"))
        return found


def _labels(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"label {shown}" if len(names) == 1 else f"labels {shown}"
