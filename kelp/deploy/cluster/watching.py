"""Waiting for a model: until the platform says Ready, and why it does not."""

from __future__ import annotations

import time
from collections.abc import Callable

from kelp.deploy.cluster.api import SERVING, Cluster, Object
from kelp.deploy.cluster.pods import OUT_OF_MEMORY, Why, last_words, why_not_running
from kelp.errors import NotReady, TooLate

Note = Callable[[str], None]
_PAUSE_S = 1.0
_SETTLED_S = 5.0
_INVALID = frozenset({"InvalidSpec"})
# What KServe and Knative say while they are still at it.
_QUIET = frozenset({"", "RevisionMissing", "Deploying", "Unknown", "NotOwned", "Uninitialized", "IngressNotConfigured"})


def wait_until_ready(cluster: Cluster, name: str, timeout_s: float, note: Note, former: str | None = None) -> None:
    """Return when the InferenceService as it is now is Ready. NotReady with the reason where waiting cannot mend it,
    TooLate with what is known after `timeout_s`.

    former: the newest revision before a change. It is taken for the result only after a while: the status does not say
    which generation of the service it is of (KServe puts Knative's there), and not every change makes a revision.
    """
    begun = time.monotonic()
    while True:
        service = cluster.get(SERVING, "InferenceService", name)
        waited = time.monotonic() - begun
        settled = former is None or newest_revision(service) != former or waited > _SETTLED_S
        if settled and is_current(service) and condition(service, "Ready").get("status") == "True":
            return
        why = diagnose(cluster, name, service) if settled else None
        if why is not None and why.final:
            raise NotReady(f"model '{name}' is not ready: {why}", code="failing")
        if waited > timeout_s:
            raise TooLate(f"model '{name}' was not ready within {timeout_s:.0f} s{f': {why}' if why else ''}")
        note(f"{name}: {why or 'not ready yet'}")
        time.sleep(_PAUSE_S)


def newest_revision(service: Object) -> str | None:
    """Knative's name of it; None where there is none yet."""
    predictor = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
    return predictor.get("latestCreatedRevision")


def is_current(service: Object) -> bool:
    """Whether its newest revision is the one that is ready."""
    predictor = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
    return bool(predictor.get("latestCreatedRevision") == predictor.get("latestReadyRevision"))


def diagnose(cluster: Cluster, name: str, service: Object | None = None) -> Why | None:
    """What keeps the model's newest revision from being ready, None where there is nothing to say."""
    service = service or cluster.get(SERVING, "InferenceService", name)
    status = service.get("status") or {}
    revision = ((status.get("components") or {}).get("predictor") or {}).get("latestCreatedRevision")
    for pod in pods_of(cluster, name, revision):
        why = why_not_running(pod)
        if why is not None:
            return _with_last_words(cluster, pod, why)
    model = status.get("modelStatus") or {}
    failure = model.get("lastFailureInfo") or {}
    if failure.get("message") and model.get("transitionStatus") in _INVALID:
        return Why(failure.get("reason") or "InvalidSpec", failure["message"], final=True)
    if revision and (why := _of_revision(cluster, revision)) is not None:
        return why
    for kind in ("PredictorReady", "IngressReady", "Ready"):
        found = condition(service, kind)
        reason = found.get("reason") or ""
        if found.get("status") == "False" and reason not in _QUIET:
            return Why(reason, " ".join((found.get("message") or "").split())[:600])
    return _of_events(cluster, name) if not status.get("conditions") else None


def pods_of(cluster: Cluster, name: str, revision: str | None = None) -> list[Object]:
    """The pods of a model, of one revision where it is named; those that are going are left out."""
    labels = f"serving.kserve.io/inferenceservice={name}"
    if revision:
        labels += f",serving.knative.dev/revision={revision}"
    return [pod for pod in cluster.find_all("v1", "Pod", labels=labels) if not pod["metadata"].get("deletionTimestamp")]


def condition(body: Object, kind: str) -> Object:
    for found in (body.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            return dict(found)
    return {}


def _with_last_words(cluster: Cluster, pod: Object, why: Why) -> Why:
    if not why.container or why.reason == OUT_OF_MEMORY:
        return why
    text = cluster.log_text(
        pod["metadata"]["name"], container=why.container, tailLines=40, **({"previous": "true"} if why.previous else {})
    )
    said = last_words(text)
    # Wrong content will still be wrong at the next try.
    final = why.final or "wrong content" in said
    message = f"{why.message}: {said}" if said and said not in why.message else why.message
    return Why(why.reason, message, final, why.container, why.previous)


def _of_revision(cluster: Cluster, revision: str) -> Why | None:
    found = cluster.find("serving.knative.dev/v1", "Revision", revision)
    ready = condition(found or {}, "Ready")
    reason = ready.get("reason") or ""
    if ready.get("status") != "False" or reason in _QUIET:
        return None
    final = reason in {"ProgressDeadlineExceeded", "ContainerMissing"}
    return Why(reason, " ".join((ready.get("message") or "").split())[:600], final)


def _of_events(cluster: Cluster, name: str) -> Why | None:
    """The newest warning about an InferenceService that nobody has begun to work on."""
    fields = f"involvedObject.name={name},involvedObject.kind=InferenceService,type=Warning"
    events = cluster.find_all("v1", "Event", fields=fields)
    if not events:
        return None
    newest = max(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return Why(newest.get("reason") or "Warning", " ".join(str(newest.get("message") or "").split())[:600])
