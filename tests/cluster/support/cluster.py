"""A cluster by its kubeconfig: objects in and out, waiting, logs, and what the cluster itself can do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import yaml

from tests.cluster.support.shell import CommandFailed, Shell

T = TypeVar("T")
Object = dict[str, Any]
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


class Cluster:
    """`kubectl` with one kubeconfig."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def kubectl(self, *arguments: str, ns: str = "", **more: Any) -> str:
        """What kubectl writes; `more` goes to `Shell.run`."""
        return self.shell.run("kubectl", *(["-n", ns] if ns else []), *arguments, **more)

    def get(self, kind: str, name: str = "", ns: str = "", selector: str = "", everywhere: bool = False) -> Any:
        """The object `name`, None where there is none; without a name, the list of them."""
        arguments = ["get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found"]
        arguments += ["-l", selector] if selector else []
        arguments += ["-A"] if everywhere else []
        text = self.kubectl(*arguments, ns=ns, quiet=True)
        if name:
            return json.loads(text) if text.strip() else None
        return json.loads(text)["items"] if text.strip() else []

    def apply(self, *objects: Object, ns: str = "") -> None:
        """Tried again for a while: webhooks of what has only just come up answer late."""
        text = yaml.safe_dump_all(objects, sort_keys=False)
        end = time.monotonic() + 30
        while True:
            try:
                self.kubectl("apply", "-f", "-", ns=ns, stdin=text)
                return
            except CommandFailed as failed:
                if "failed calling webhook" not in str(failed) or time.monotonic() > end:
                    raise
                time.sleep(1)

    def patch(self, kind: str, name: str, ns: str, change: Object) -> None:
        self.kubectl("patch", kind, name, "--type", "merge", "-p", json.dumps(change), ns=ns)

    def delete(self, kind: str, name: str, ns: str = "", *, wait: bool = True, now: bool = False) -> None:
        """`now`: without a grace period, as a node that is lost."""
        more = ["--grace-period=0", "--force"] if now else []
        self.kubectl("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}", *more, ns=ns)

    def pods(self, ns: str, selector: str = "") -> list[Object]:
        found: list[Object] = self.get("pods", ns=ns, selector=selector)
        return found

    def logs(self, pod: str, ns: str, container: str = "", *arguments: str) -> str:
        more = ["-c", container] if container else []
        return self.kubectl("logs", pod, *more, *arguments, ns=ns, check=False, quiet=True)

    def exec(self, pod: str, ns: str, *command: str, container: str = "", **more: Any) -> str:
        where = ["-c", container] if container else []
        flags = ["-i"] if "stdin" in more else []
        return self.kubectl("exec", *flags, pod, *where, "--", *command, ns=ns, **more)

    def wait_ready(self, kind: str, name: str, ns: str, deadline_s: float = 120.0) -> Object:
        """Once its condition Ready is true; else an AssertionError with its conditions and its pods' state."""

        def read() -> Object | None:
            found = self.get(kind, name, ns)
            return found if found and ready(found) else None

        try:
            return wait_for(read, f"{kind} {name} ready", deadline_s)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.explain(ns)}") from None

    def explain(self, ns: str) -> str:
        """What somebody would look at first: pods, conditions of models, the last events; goes into the log too."""
        parts = [
            self.kubectl("get", "pods", "-o", "wide", ns=ns, check=False),
            self.kubectl("get", "isvc,ksvc,revision,statefulset,pvc", ns=ns, check=False),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp", ns=ns, check=False)[-3000:],
        ]
        return "\n".join(parts)

    def everything(self, ns: str) -> set[str]:
        """KIND/NAME of all that is in a namespace, events aside."""
        listed = self.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name", quiet=True).split()
        kinds = [kind for kind in listed if not kind.startswith("events") and "metrics" not in kind]
        said = self.kubectl("get", ",".join(kinds), "-o", "name", "--ignore-not-found", ns=ns, check=False)
        return {line for line in said.splitlines() if "/" in line and " " not in line}

    def namespace(self, name: str, labels: dict[str, str] | None = None) -> None:
        """A new, empty namespace; one of that name that is left from before is removed first."""
        self.remove_namespace(name)
        wait_for(lambda: self.get("namespace", name) is None, f"namespace {name} gone", 180)
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})

    def remove_namespace(self, name: str, *, wait: bool = False) -> None:
        # Pods of a model would take their whole grace period to end.
        self.kubectl("delete", "isvc", "--all", "--ignore-not-found", "--wait=false", ns=name, check=False)
        self.kubectl("delete", "namespace", name, "--ignore-not-found", f"--wait={str(wait).lower()}", timeout_s=240)
        self.kubectl(
            "delete", "pods", "--all", "--grace-period=0", "--force", "--ignore-not-found", ns=name, check=False
        )


def ready(found: Object) -> bool:
    """Whether the object's condition Ready (of a pod, an InferenceService, a revision…) is true."""
    return condition(found, "Ready").get("status") == "True"


def condition(found: Object, kind: str) -> Object:
    """The condition of that type, empty where there is none."""
    conditions: Sequence[Object] = found.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def wait_for(read: Callable[[], T | None], what: str, deadline_s: float = 60.0, pause_s: float = 0.25) -> T:
    """The first value of `read` that is true; an AssertionError that says `what` was waited for."""
    end = time.monotonic() + deadline_s
    while True:
        found = read()
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(pause_s)
