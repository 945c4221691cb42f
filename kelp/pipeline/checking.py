"""Every link of a pipeline, tried one after the other: CVAT, account, projects, labels, webhooks, bridge, models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelp.errors import KelpError
from kelp.pipeline.applying import advice_of_role
from kelp.pipeline.cards import Cards
from kelp.pipeline.cvat import Cvat
from kelp.pipeline.delivery import REACHED, of_delivery
from kelp.pipeline.difference import webhook_differences
from kelp.pipeline.errors import CvatDenied, CvatDown, CvatForbidden, CvatGone, PipelineError
from kelp.pipeline.findings import Finding, cause_of, fails, ok
from kelp.pipeline.label_links import LabelLinks
from kelp.pipeline.labels import counted
from kelp.pipeline.present import Present, PresentProject, present_of
from kelp.pipeline.schema import Detect, Pipeline
from kelp.pipeline.servers import BridgeHealth, bridge_health, model_states, of_bridge, of_models
from kelp.pipeline.settings import PipelineSettings
from kelp.pipeline.source import points_fault
from kelp.pipeline.wanted import Wanted, WantedProject, WantedWebhook, target_id

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """What a check goes by. file: as the user named it, for advice."""

    pipeline: Pipeline
    wanted: Wanted
    cards: Cards
    settings: PipelineSettings
    file: str

    def run(self, cvat: Cvat) -> list[Finding]:
        """Every finding, in the order in which one link hangs on the other."""
        found = self._account(cvat)
        present = None
        if all(finding.state != "fails" for finding in found):
            try:
                present = present_of(self.wanted, cvat, source=self.file)
            except CvatForbidden as error:
                told = error.message.removeprefix(f"{self.file}: ")
                found.append(fails("permission", told, advice_of_role(cvat), "denied"))
            except PipelineError as error:
                advice = f"correct it in {self.file}"
                found.append(fails("projects", error.message.removeprefix(f"{self.file}: "), advice))
            except KelpError as error:
                found.append(_no_cvat(error))
        health = bridge_health(self.settings, self.wanted.bridge)
        deliveries: dict[str, Json | KelpError] = {}
        if present is not None:
            for key, project in self.wanted.projects.items():
                found += self._project(key, project, present, cvat)
            deliveries = self._pings(present, cvat, health)
        reached = any(
            not isinstance(told, KelpError) and int(told.get("status_code") or 0) in REACHED
            for told in deliveries.values()
        )
        found += of_bridge(health, reached_by_cvat=reached)
        if present is not None:
            found += self._deliveries(deliveries, present, cvat, health)
        uses = {webhook.model: webhook.kind for webhook in self.wanted.webhooks() if webhook.model}
        return found + of_models(uses, model_states(self.settings, list(uses)), health, self.file)

    def _account(self, cvat: Cvat) -> list[Finding]:
        try:
            version = str(cvat.about().get("version") or "")
        except CvatGone as error:
            # With a header that names an organization, even this is asked of it.
            return [_no_organization(cvat) if cvat.organization else _no_cvat(error)]
        except CvatDenied:
            version = ""  # wrong credentials are refused here too
        except CvatForbidden:
            version = ""
        except KelpError as error:
            return [_no_cvat(error)]
        found = [ok("CVAT", f"it answers at {cvat.url}" + (f", version {version}" if version else ""))]
        try:
            user = str(cvat.myself().get("username") or "")
            next(cvat.projects(), None)
        except CvatDenied as error:
            return [*found, self._denied(error)]
        except CvatForbidden as error:
            return [*found, fails("account", error.message, advice_of_role(cvat), "denied")]
        except CvatGone:
            return [*found, _no_organization(cvat)]
        except KelpError as error:
            return [_no_cvat(error)]
        where = f" in the organization '{cvat.organization}'" if cvat.organization else ""
        return [*found, ok("account", f"CVAT knows it as {user}{where}")]

    def _denied(self, error: CvatDenied) -> Finding:
        if self.settings.cvat_token.get_secret_value():
            told = "CVAT does not accept the token"
            advice = (
                "make a new personal access token for KELP_CVAT_TOKEN; older servers know none, set KELP_CVAT_USER and "
                "KELP_CVAT_PASSWORD there"
            )
        else:
            told = f"CVAT does not accept the user '{self.settings.cvat_user}' with that password"
            advice = "correct KELP_CVAT_USER and KELP_CVAT_PASSWORD (or KELP_CVAT_PASSWORD_FILE)"
        return fails("account", told, advice, "denied")

    def _project(self, key: str, wanted: WantedProject, present: Present, cvat: Cvat) -> list[Finding]:
        there = present.projects.get(key)
        link = f"project '{wanted.name}'"
        if there is None:
            missing = fails(link, "it is not in CVAT", f"`kelp pipeline apply {self.file}` makes it")
            return [missing]
        found = [ok(link, f"it is project {there.id}, with {counted(there.tasks, 'task')}")]
        found += LabelLinks(key, self.pipeline.projects[key], wanted, there, self.cards, self.file).findings()
        for webhook in wanted.webhooks:
            found.append(self._webhook(webhook, there, wanted, present, cvat))
            spec = self.pipeline.projects[key].webhooks[webhook.mark.webhook]
            why = "" if isinstance(spec, Detect) else points_fault(spec, there.labels, self.cards.cards)
            if why:
                advice = (
                    f"add it to the project in {self.file}: `labels: [MODEL]`, of the model that finds the points"
                    if "several" not in why
                    else f"name one in {self.file}: `label: NAME`"
                )
                found.append(fails(f"points for {_link(webhook, wanted)}", why, advice))
        return found

    def _webhook(
        self, wanted: WantedWebhook, there: PresentProject, project: WantedProject, present: Present, cvat: Cvat
    ) -> Finding:
        link = _link(wanted, project)
        hook = there.webhooks.get(wanted.mark.webhook)
        apply = f"`kelp pipeline apply {self.file}`"
        if hook is None:
            return fails(link, "it is not in CVAT, or this account does not see it", f"{apply} makes it")
        if wanted.target:
            target = target_id(hook.get("target_url") or "")
            if wanted.target not in present.projects or target != present.ids[wanted.target]:
                return fails(link, *self._astray(wanted, target, present, cvat))
        if told := webhook_differences(wanted, hook, present.ids):
            return fails(link, f"it differs: {'; '.join(told.values())}", f"{apply} sets it right")
        return ok(link, f"it is webhook {hook['id']}, as the file has it")

    def _astray(self, wanted: WantedWebhook, target: int | None, present: Present, cvat: Cvat) -> tuple[str, str]:
        """Text and advice for a webhook whose target is not the project that the file names."""
        name = self.wanted.projects[wanted.target].name
        again = f"`kelp pipeline apply {self.file}` "
        try:
            if target is not None:
                cvat.project(target)
                return f"it leads to project {target}, which is not '{name}'", f"{again}sets it right"
        except CvatGone:
            makes = "" if wanted.target in present.projects else "makes the project anew and "
            return f"its target is gone: CVAT has no project {target} any more", f"{again}{makes}points it to '{name}'"
        except CvatForbidden:
            return f"its target, project {target}, is not shown to this account", f"{again}points it to '{name}'"
        return "it names no target", f"{again}sets it right"

    def _pings(self, present: Present, cvat: Cvat, health: BridgeHealth) -> dict[str, Json | KelpError]:
        """By the webhook's mark: what its ping came to. Where one was not answered, others to the same address are not
        tried: each would take CVAT 10 s."""
        found: dict[str, Json | KelpError] = {}
        silent: dict[str, Json] = {}
        for key, project in self.wanted.projects.items():
            hooks: Mapping[str, Json] = present.projects[key].webhooks if key in present.projects else {}
            for webhook in project.webhooks:
                hook = hooks.get(webhook.mark.webhook)
                if hook is None:
                    continue
                address = str(hook.get("target_url") or "").partition("?")[0].rpartition("/")[0]
                if address in silent:
                    found[str(webhook.mark)] = silent[address]
                    continue
                try:
                    told = cvat.ping(hook["id"])
                except KelpError as error:
                    found[str(webhook.mark)] = error
                    continue
                found[str(webhook.mark)] = told
                if int(told.get("status_code") or 0) not in REACHED:
                    silent[address] = told
        return found

    def _deliveries(
        self, deliveries: Mapping[str, Json | KelpError], present: Present, cvat: Cvat, health: BridgeHealth
    ) -> list[Finding]:
        found: list[Finding] = []
        for key, project in self.wanted.projects.items():
            for webhook in project.webhooks:
                told = deliveries.get(str(webhook.mark))
                if told is None:
                    continue
                link = f"ping of {_link(webhook, project)}"
                if isinstance(told, KelpError):
                    advice = (
                        advice_of_role(cvat) if isinstance(told, CvatForbidden) else "try again; see CVAT's own log"
                    )
                    found.append(fails(link, told.message, advice, cause_of(told)))
                    continue
                address = present.projects[key].webhooks[webhook.mark.webhook]["target_url"]
                found.append(of_delivery(link, address, told, file=self.file, bridge_at=health.url))
        return found


def _link(webhook: WantedWebhook, project: WantedProject) -> str:
    return f"webhook '{webhook.mark.webhook}' of '{project.name}'"


def _no_cvat(error: KelpError) -> Finding:
    if isinstance(error, CvatDown):
        advice = (
            "start CVAT, or correct KELP_CVAT_URL; with a certificate of your own, KELP_CVAT_CA names its authority"
        )
        return fails("CVAT", error.message, advice, "unreachable")
    return fails("CVAT", error.message, "KELP_CVAT_URL must be CVAT's own address", cause_of(error))


def _no_organization(cvat: Cvat) -> Finding:
    told = f"CVAT has no organization '{cvat.organization}' for this account"
    return fails("account", told, "correct KELP_CVAT_ORG (its short name), or have the account invited", "denied")
