"""Why a pod does not run, in one line."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kelp.deploy.cluster.api import Object

# The kubelet has looked twice already when it says these.
_WAITING_FINAL = frozenset({
    "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "CrashLoopBackOff",
})  # fmt: skip
_WAITING_QUIET = frozenset({"PodInitializing", "ContainerCreating"})
OUT_OF_MEMORY = "OOMKilled"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Why:
    """reason: one word, as Kubernetes spells it; message: what it says; final: waiting longer will hardly mend it;
    container: whose log may tell more, empty where none ran; previous: its log is of the run before."""

    reason: str
    message: str = ""
    final: bool = False
    container: str = ""
    previous: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


def why_not_running(pod: Object) -> Why | None:
    """The first thing that keeps the pod from being ready; None where there is nothing to say."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Why(condition.get("reason") or "Unschedulable", _one_line(condition.get("message")))
    for container in _containers(status):
        why = _of_container(container)
        if why is not None:
            return why
    if status.get("phase") == "Failed":
        return Why(status.get("reason") or "Failed", _one_line(status.get("message")), final=True)
    return None


def _containers(status: Object) -> Iterator[Object]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _of_container(container: Object) -> Why | None:
    name = container["name"]
    state = container.get("state") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    ended = state.get("terminated") or {}
    if ended and ended.get("exitCode"):
        return _ended(name, ended, final=False, previous=False)
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason") or ""
    if last.get("exitCode"):
        again = container.get("restartCount", 0)
        return _ended(name, last, final=reason == "CrashLoopBackOff" or again >= 2, previous=True)
    if not reason or reason in _WAITING_QUIET:
        return None
    image = f" (image {container['image']})" if "Image" in reason and container.get("image") else ""
    return Why(reason, _one_line(waiting.get("message")) + image, final=reason in _WAITING_FINAL)


def _ended(name: str, ended: Object, *, final: bool, previous: bool) -> Why:
    reason = ended.get("reason") or "Error"
    if reason == OUT_OF_MEMORY:
        return Why(OUT_OF_MEMORY, f"container {name} took more memory than its limit", True, name, previous)
    said = last_words(ended.get("message") or "")  # Knative has the last lines of the log put there
    message = f"container {name} ended with exit code {ended['exitCode']}" + (f": {said}" if said else "")
    return Why(reason, message, final, name, previous)


def last_words(text: str) -> str:
    """Of a log: the `error` of its last line that has one, else its last line."""
    said = plain = ""
    for line in text.splitlines():
        given = None
        with contextlib.suppress(ValueError):
            given = json.loads(line)
        if isinstance(given, dict):
            said = str(given.get("error") or said)
        elif line.strip():
            plain = line.strip()
    return _ANSI.sub("", said or plain)[:500]


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:600]
