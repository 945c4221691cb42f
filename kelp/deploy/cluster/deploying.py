"""A card onto the cluster: its weights sent, its objects applied."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kelp.card import Card, parse_card
from kelp.deploy import RenderOptions, card_config_map_name, render
from kelp.deploy.cluster.api import SERVING, Cluster, Object
from kelp.deploy.cluster.bundle import Bundle
from kelp.deploy.cluster.platform import Platform
from kelp.deploy.cluster.watching import newest_revision
from kelp.deploy.labels import CARD_ANNOTATION, MODEL_LABEL
from kelp.deploy.objects import CARD_KEY
from kelp.errors import BadGateway, Conflict, Forbidden, InvalidRequest, NotFound, TooLate

OWNER, PROJECT = "kelp.dev/owner", "kelp.dev/project"
DEFAULT_PROJECT = "cvat"
PREVIOUS_KEY = "previous.yaml"
_EXTRAS = (("networking.istio.io/v1", "VirtualService"),)
_GONE_S = 660.0


@dataclass(frozen=True, slots=True)
class Marks:
    """owner: of those that one installation looks after, empty for nobody; project: a name to group models by, empty
    keeps the one it has."""

    owner: str = ""
    project: str = ""


def options_of(platform: Platform, namespace: str, storage: str | None = None) -> RenderOptions:
    """The renderer's options of this platform; `storage` wins over its own."""
    given: dict[str, Any] = {**platform.render, "namespace": namespace}
    base = storage or platform.storage.uri
    if base:
        given["storage"] = base
    if platform.service_account:
        given["service_account"] = platform.service_account
    try:
        return RenderOptions.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadGateway(f"ConfigMap kelp-platform: render.{where}: {fault['msg']}: is this kelp older?") from None


def with_bundle(card: Card, bundle: Bundle, options: RenderOptions) -> Card:
    """The card whose weights lie in the platform's storage. InvalidRequest where it has none."""
    if not options.storage:
        raise InvalidRequest(
            f"{card.model_name}: its weights lie on this machine, and the platform names no storage to put them: "
            "give --storage s3://bucket/folder or pvc://claim/folder, or set `storage` in the platform's values"
        )
    return card.model_copy(update={"weights": bundle.weights_at(options.storage)})


def described(card: Card, options: RenderOptions, marks: Marks, previous: str = "") -> list[Object]:
    """The renderer's objects with our marks. They stand on the ConfigMap alone: KServe copies the service's labels
    into the revision, and a changed mark must not roll a model."""
    objects = render(card, options)
    for found in objects:
        if found["kind"] == "ConfigMap":
            labels = found["metadata"].setdefault("labels", {})
            labels[PROJECT] = marks.project or DEFAULT_PROJECT
            if marks.owner:
                labels[OWNER] = marks.owner
            if previous:
                found["data"][PREVIOUS_KEY] = previous
    return objects


@dataclass(frozen=True, slots=True)
class Applied:
    """changed: whether the InferenceService did; former: its newest revision before that, where it did."""

    changed: bool
    former: str | None


def apply_card(cluster: Cluster, card: Card, options: RenderOptions, marks: Marks) -> Applied:
    """Apply the objects. Conflict where the InferenceService's name is somebody else's."""
    name = card.model_name
    service = cluster.find(SERVING, "InferenceService", name)
    if service is not None and CARD_ANNOTATION not in (service["metadata"].get("annotations") or {}):
        raise Conflict(f"namespace {cluster.namespace} has an InferenceService '{name}' that is not one of Kelp's")
    there = cluster.find("v1", "ConfigMap", card_config_map_name(name))
    marks = _kept(marks, there)
    objects = described(card, options, marks, _previous(there, card, options))
    changed = service is None
    _remove_extras(cluster, name, keep={(body["kind"], body["metadata"]["name"]) for body in objects})
    for body in objects:
        applied = cluster.apply(body)
        if body["kind"] == "InferenceService" and service is not None:
            changed = applied["metadata"]["generation"] != service["metadata"]["generation"]
    return Applied(changed, newest_revision(service) if changed and service is not None else None)


def deployed_card(cluster: Cluster, name: str, *, previous: bool = False) -> Card:
    """The card of a deployed model, or the one before. NotFound where there is none."""
    found = cluster.find("v1", "ConfigMap", card_config_map_name(name))
    if found is None:
        raise NotFound(f"no model '{name}' in namespace {cluster.namespace}")
    text = (found.get("data") or {}).get(PREVIOUS_KEY if previous else CARD_KEY)
    if not text:
        raise NotFound(f"model '{name}' has no earlier card to go back to")
    return parse_card(text, source=f"ConfigMap {found['metadata']['name']}")


def owned_by(cluster: Cluster, owner: str) -> list[str]:
    """Names of the models that bear this owner's mark."""
    found = cluster.find_all("v1", "ConfigMap", labels=f"{OWNER}={owner},{MODEL_LABEL}")
    return sorted(body["metadata"]["labels"][MODEL_LABEL] for body in found)


def remove(cluster: Cluster, name: str) -> bool:
    """Delete a model's objects, not its weights; whether there were any. Conflict where it is not one of Kelp's."""
    service = cluster.find(SERVING, "InferenceService", name)
    if service is not None and CARD_ANNOTATION not in (service["metadata"].get("annotations") or {}):
        raise Conflict(f"InferenceService '{name}' is not one of Kelp's; kubectl delete removes it")
    _remove_extras(cluster, name, keep=set())
    # The service before the card: as long as the card is there, whoever still sees the service can read what it is.
    gone = cluster.delete(SERVING, "InferenceService", name)
    return cluster.delete("v1", "ConfigMap", card_config_map_name(name)) or gone


def wait_until_gone(cluster: Cluster, name: str) -> None:
    """Return when the service and its pods are gone. TooLate where they are not after the pods' longest grace."""
    ends = time.monotonic() + _GONE_S
    while cluster.find(SERVING, "InferenceService", name) is not None or cluster.find_all(
        "v1", "Pod", labels=f"serving.kserve.io/inferenceservice={name}"
    ):
        if time.monotonic() > ends:
            raise TooLate(f"model '{name}' is deleted, and its pods are still there after {_GONE_S:.0f} s")
        time.sleep(0.5)


def _remove_extras(cluster: Cluster, name: str, *, keep: set[tuple[str, str]]) -> None:
    """What the renderer makes for some models only, such as the route of an exposed one, and does not make now.

    What has an owner is KServe's or Knative's, which copy a model's labels to its routes: without those no request
    would find the model until they are made anew.
    """
    for api, kind in _EXTRAS:
        try:
            found = cluster.find_all(api, kind, labels=f"{MODEL_LABEL}={name}")
        except (NotFound, Forbidden):
            continue  # a cluster without this kind, or an account that never made one
        for body in found:
            owned = body["metadata"].get("ownerReferences")
            if not owned and (kind, body["metadata"]["name"]) not in keep:
                cluster.delete(api, kind, body["metadata"]["name"])


def _kept(marks: Marks, there: Object | None) -> Marks:
    labels = ((there or {}).get("metadata") or {}).get("labels") or {}
    return Marks(marks.owner or labels.get(OWNER, ""), marks.project or labels.get(PROJECT, ""))


def _previous(there: Object | None, card: Card, options: RenderOptions) -> str:
    """The card to go back to: the one that is replaced; where nothing changes, the one before stays."""
    data = (there or {}).get("data") or {}
    new = next(body for body in render(card, options) if body["kind"] == "ConfigMap")["data"][CARD_KEY]
    current = str(data.get(CARD_KEY) or "")
    return current if current and current != new else str(data.get(PREVIOUS_KEY) or "")
