"""The models of a namespace and what they do now; asking wakes none."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from kelp.card import Card, parse_card
from kelp.card.metadata import State
from kelp.deploy.cluster.api import SERVING, Cluster, Object
from kelp.deploy.cluster.deploying import DEFAULT_PROJECT, OWNER, PROJECT
from kelp.deploy.cluster.door import is_ready
from kelp.deploy.cluster.pods import Why, why_not_running
from kelp.deploy.cluster.watching import condition, is_current
from kelp.deploy.labels import CARD_ANNOTATION
from kelp.deploy.objects import CARD_KEY
from kelp.errors import KelpError

_SERVICE_LABEL = "serving.kserve.io/inferenceservice"


@dataclass(frozen=True, slots=True)
class Listed:
    """One model. port: of its address in the cluster; replicas: pods that are ready / that there are; canary: percent
    of requests that its newest revision gets, None where it gets all."""

    namespace: str
    name: str
    project: str
    state: State
    port: int
    replicas: str
    runtime: str
    task: str
    protocol: str
    version: str
    title: str
    canary: int | None
    owner: str
    url: str
    weights: str
    reason: str
    created: str

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def list_models(cluster: Cluster, name: str | None = None, *, everywhere: bool = False) -> list[Listed]:
    """All that have a card, or the one of that name."""
    space = "" if everywhere else None
    services = [
        service
        for service in cluster.find_all(SERVING, "InferenceService", namespace=space)
        if CARD_ANNOTATION in (service["metadata"].get("annotations") or {})
        and name in {None, service["metadata"]["name"]}
    ]
    if not services:
        return []
    cards = {_key(body): body for body in cluster.find_all("v1", "ConfigMap", labels="kelp.dev/model", namespace=space)}
    pods = defaultdict(list)
    for pod in cluster.find_all("v1", "Pod", labels=_SERVICE_LABEL, namespace=space):
        if not pod["metadata"].get("deletionTimestamp"):
            pods[pod["metadata"]["namespace"], pod["metadata"]["labels"][_SERVICE_LABEL]].append(pod)
    return [_listed(service, cards.get(_card_key(service)), pods[_key(service)]) for service in services]


def state_of(service: Object, pods: list[Object]) -> tuple[State, str]:
    """What the model does, and why where that is not what it should."""
    whys: list[Why] = [why for pod in pods if (why := why_not_running(pod)) is not None]
    if any(is_ready(pod) for pod in pods) and not any(why.final for why in whys):
        return "ready", ""
    if pods:
        final = next((why for why in whys if why.final), None)
        return ("failing", str(final)) if final else ("starting", str(whys[0]) if whys else "")
    ready = condition(service, "Ready")
    if ready.get("status") == "True" and is_current(service):
        return "asleep", ""
    if ready.get("status") == "False":
        parts = [condition(service, kind) for kind in ("PredictorReady", "IngressReady")]
        told = next((found for found in parts if found.get("message")), ready)
        model = ((service.get("status") or {}).get("modelStatus") or {}).get("lastFailureInfo") or {}
        text = model.get("message") or told.get("message") or told.get("reason") or ""
        return "failing", " ".join(str(text).split())[:300]
    return "starting", ""


def _listed(service: Object, config: Object | None, pods: list[Object]) -> Listed:
    meta = service["metadata"]
    labels = ((config or {}).get("metadata") or {}).get("labels") or {}
    card, fault = _card(config)
    state, reason = state_of(service, pods)
    status = service.get("status") or {}
    address = (status.get("address") or {}).get("url") or status.get("url") or ""
    ready = sum(is_ready(pod) for pod in pods)
    canary = service["spec"]["predictor"].get("canaryTrafficPercent")
    return Listed(
        namespace=meta["namespace"],
        name=meta["name"],
        project=labels.get(PROJECT, DEFAULT_PROJECT),
        state=state,
        port=443 if address.startswith("https:") else 80,
        replicas=f"{ready}/{len(pods)}",
        runtime=card.runtime if card else "",
        task=card.task if card else "",
        protocol=card.protocol if card else "",
        version=(card.version or "") if card else "",
        title=card.title if card else "",
        canary=None if canary in {None, 100} else int(canary),
        owner=labels.get(OWNER, ""),
        url=address,
        weights=card.weights.uri if card else "",
        reason=reason or fault,
        created=meta.get("creationTimestamp") or "",
    )


def _card(config: Object | None) -> tuple[Card | None, str]:
    if config is None:
        return None, "its ConfigMap with the card is gone"
    try:
        return parse_card((config.get("data") or {}).get(CARD_KEY) or "", source=config["metadata"]["name"]), ""
    except KelpError as error:
        return None, error.message.splitlines()[0]


def _key(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _card_key(service: Object) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["annotations"][CARD_ANNOTATION]
