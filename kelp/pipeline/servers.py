"""The bridge and the models' endpoint as they answer from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from kelp.card import Label
from kelp.errors import KelpError, NotFound
from kelp.pipeline.findings import Finding, fails, ok, unknown
from kelp.pipeline.judging import task_fault
from kelp.pipeline.settings import KUBERNETES, PipelineSettings

DEFAULT_BRIDGE = "http://127.0.0.1:8000"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class BridgeHealth:
    """url: "" where none answers; tried: where it was asked for; missing, notes: of its readiness."""

    url: str = ""
    tried: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def bridge_health(settings: PipelineSettings, address: str) -> BridgeHealth:
    """The bridge at KELP_BRIDGE_URL, else on this machine, else at the `address` that CVAT knows."""
    places = [settings.bridge_url] if settings.bridge_url else [DEFAULT_BRIDGE, address]
    tried = tuple(dict.fromkeys(places))
    with httpx.Client(timeout=httpx.Timeout(_TIMEOUT_S, connect=3.0)) as http:
        for url in tried:
            if _get(http, f"{url}/health/live").get("live") is True:
                told = _get(http, f"{url}/health/ready")
                missing, notes = (tuple(map(str, told.get(name) or ())) for name in ("missing", "notes"))
                return BridgeHealth(url, tried, missing, notes)
    return BridgeHealth(tried=tried)


def _get(http: httpx.Client, url: str) -> dict[str, Any]:
    try:
        given = http.get(url).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return given if isinstance(given, dict) else {}


def of_bridge(health: BridgeHealth, *, reached_by_cvat: bool) -> list[Finding]:
    """Whether it is up, and what it lacks to work."""
    link = "bridge"
    if not health.url:
        where = " or ".join(health.tried)
        if reached_by_cvat:
            advice = "KELP_BRIDGE_URL is its address as seen from here; until then the models' states stay unknown"
            return [unknown(link, f"CVAT reaches it, but from here nobody answers at {where}", advice)]
        return [
            fails(
                link,
                f"it is down: nobody answers at {where}",
                "start it: `kelp up`, or `kelp bridge`; on a cluster look at `kubectl -n kelp get pods`; where it runs "
                "elsewhere, KELP_BRIDGE_URL says so",
                "unreachable",
            )
        ]
    found = [ok(link, f"it answers at {health.url}")]
    for problem in health.missing:
        if "CVAT" in problem:
            advice = "give the bridge, where it runs, CVAT's address and an account: KELP_CVAT_URL, KELP_CVAT_USER, …"
        else:
            advice = "its models answer at its KELP_V2_URL: is `kelp up` running, or KServe?"
        found.append(fails("bridge", f"it cannot work: {problem}", advice, "unreachable"))
    return found


@dataclass(frozen=True, slots=True)
class ModelStates:
    """What the models' endpoint says. url: "" where nobody answers; state, reason, task: by model; absent: unknown
    there."""

    url: str
    state: Mapping[str, str] = field(default_factory=dict)
    reason: Mapping[str, str] = field(default_factory=dict)
    task: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


def model_states(settings: PipelineSettings, models: Sequence[str]) -> ModelStates:
    """Ask for each of `models`; wakes none."""
    from kelp.client import Client, ClientConfig

    if settings.v2_url == KUBERNETES:
        return ModelStates("")
    state: dict[str, str] = {}
    reason: dict[str, str] = {}
    task: dict[str, str] = {}
    absent = set()
    with Client(_config(settings, ClientConfig)) as client:
        for model in models:
            try:
                card = client.metadata(model).get("parameters", {}).get("card", {})
            except NotFound:
                absent.add(model)
            except KelpError:
                return ModelStates("")
            else:
                state[model], reason[model] = str(card.get("state") or ""), str(card.get("reason") or "")
                task[model] = str(card.get("task") or "")
    return ModelStates(settings.v2_url, state, reason, task, frozenset(absent))


def labels_told(settings: PipelineSettings, model: str) -> list[Label]:
    """The labels of a model whose card leaves them to its weights; none where nobody tells them."""
    from kelp.client import Client, ClientConfig

    if settings.v2_url == KUBERNETES:
        return []
    try:
        with Client(_config(settings, ClientConfig)) as client:
            told = client.metadata(model).get("parameters", {}).get("card", {}).get("labels") or []
        return [Label.model_validate(label) for label in told]
    except (KelpError, ValueError):
        return []


def of_models(uses: Mapping[str, str], states: ModelStates, health: BridgeHealth, file: str) -> list[Finding]:
    """A finding for each model, from the endpoint and from what the bridge notes of its own. uses: model → the kind of
    webhook that calls it."""
    found = []
    for model, kind in uses.items():
        link = f"model {model}"
        noted = next((note for note in health.notes if note.startswith(f"{link} is failing")), "")
        state, why = states.state.get(model, ""), states.reason.get(model, "")
        if fault := task_fault(kind, states.task.get(model, "")):
            found.append(fails(link, f"it {fault}", f"name another in {file}; then `kelp pipeline apply {file}`"))
        elif state == "failing" or noted:
            told = f"it is failing: {why}" if state == "failing" and why else noted.removeprefix(f"{link}: ")
            told = told.replace(f"{link} is", "it is", 1) or "it is failing"
            advice = f"`kelp logs {model}` has more; once that is mended, the next request starts it anew"
            found.append(fails(link, told, advice))
        elif model in states.absent:
            advice = (
                f"correct the name in {file}, or bring it: its card into the folder of `kelp up`, or `kelp deploy CARD`"
            )
            found.append(fails(link, f"there is none of that name at {states.url} (KELP_V2_URL)", advice))
        elif state:
            found.append(ok(link, f"it is {state}" + (", and starts with the first job" if state == "asleep" else "")))
        elif not states.url:
            advice = "KELP_V2_URL, where models are served from one address; `kelp get models` on a cluster"
            found.append(unknown(link, "nobody here tells its state", advice))
        else:
            found.append(ok(link, f"it is there, at {states.url}"))
    return found


def _config(settings: PipelineSettings, config: Any) -> Any:
    token = settings.v2_token.get_secret_value() or settings.api_token.get_secret_value() or None
    return config(settings.v2_url, token=token, timeout_s=_TIMEOUT_S, cold_start_s=0.0, retries=0)
