"""The API server's objects as plain dictionaries, errors as Kelp's own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from kelp.deploy.cluster.access import Access
from kelp.errors import (
    BadGateway,
    Conflict,
    Forbidden,
    InvalidRequest,
    KelpError,
    NotFound,
    QueueFull,
    TooLate,
    Unauthorized,
    Unreachable,
)  # fmt: skip

Object = dict[str, Any]

FIELD_MANAGER = "kelp"
SERVING = "serving.kserve.io/v1beta1"
_TIMEOUT_S = 30.0
_ERRORS: dict[int, type[KelpError]] = {
    400: InvalidRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 422: InvalidRequest,
    429: QueueFull, 504: TooLate,
}  # fmt: skip
_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies", "Gateway": "gateways"}


def plural(kind: str) -> str:
    """The name of a kind in paths."""
    if kind in _PLURALS:
        return _PLURALS[kind]
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


class Cluster:
    """Calls of one cluster, in one namespace unless another is named.

    KelpError's subclasses: Unreachable where nobody answers, Unauthorized, Forbidden, NotFound, Conflict, and
    InvalidRequest with the server's own message for an object that it refuses.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self.namespace = access.namespace
        self._http = access.api.rest_client.pool_manager
        self._host = access.api.configuration.host.rstrip("/")

    # Objects.

    def get(self, api: str, kind: str, name: str, *, namespace: str | None = None) -> Object:
        found: Object = self._json("GET", self.path(api, kind, name, namespace=namespace))
        return found

    def find(self, api: str, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """`get`, None where there is none."""
        try:
            return self.get(api, kind, name, namespace=namespace)
        except NotFound:
            return None

    def find_all(
        self, api: str, kind: str, *, labels: str = "", fields: str = "", namespace: str | None = None
    ) -> list[Object]:
        """The objects with these labels (a selector); `namespace`: None is our own, empty is all of them."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        path = self.path(api, kind, namespace=namespace)
        found = self._json("GET", path, query={k: v for k, v in query.items() if v})
        return list(found.get("items") or ())

    def apply(self, body: Object) -> Object:
        """Server-side apply: what `body` names is ours, what others have set stays."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        meta = body["metadata"]
        path = self.path(body["apiVersion"], body["kind"], meta["name"], namespace=meta.get("namespace"))
        applied: Object = self._json("PATCH", path, body=body, query=query, content_type="application/apply-patch+yaml")
        return applied

    def create(self, body: Object) -> Object:
        path = self.path(body["apiVersion"], body["kind"], namespace=body["metadata"].get("namespace"))
        created: Object = self._json("POST", path, body=body)
        return created

    def delete(self, api: str, kind: str, name: str, *, grace_s: int | None = None) -> bool:
        """Whether there was one."""
        options: Object = {"propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._json("DELETE", self.path(api, kind, name), body=options)
        except NotFound:
            return False
        return True

    def path(self, api: str, kind: str, name: str = "", *, namespace: str | None = None) -> str:
        """`namespace`: None is our own, empty is all of them."""
        group = f"/apis/{api}" if "/" in api else f"/api/{api}"
        place = self.namespace if namespace is None else namespace
        inside = f"/namespaces/{quote(place)}" if place else ""
        return f"{group}{inside}/{plural(kind)}" + (f"/{quote(name)}" if name else "")

    def serves(self, api: str) -> bool:
        """Whether the server knows this group and version."""
        try:
            self._json("GET", f"/apis/{api}", timeout_s=5.0)
        except NotFound:
            return False
        return True

    def version(self) -> str:
        return str(self._json("GET", "/version", timeout_s=5.0).get("gitVersion", ""))

    # Pods.

    @contextlib.contextmanager
    def log(self, pod: str, **query: Any) -> Iterator[Iterator[bytes]]:
        """Lines of a pod's log (`container`, `tailLines`, `follow`, `previous`, `sinceSeconds`)."""
        path = self.path("v1", "Pod", pod) + "/log"
        follow = query.get("follow")
        response = self._send("GET", path, query=query, timeout_s=None if follow else _TIMEOUT_S)
        try:
            yield _lines(response)
        finally:
            response.close()

    def log_text(self, pod: str, **query: Any) -> str:
        """Empty where there is none to be had."""
        with contextlib.suppress(KelpError), self.log(pod, **query) as lines:
            return b"\n".join(lines).decode("utf-8", "replace")
        return ""

    # The wire.

    def _json(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None,
        content_type: str = "application/json", timeout_s: float = _TIMEOUT_S,
    ) -> Any:  # fmt: skip
        response = self._send(method, path, query=query, body=body, content_type=content_type, timeout_s=timeout_s)
        try:
            return json.loads(response.read())
        except ValueError:
            raise BadGateway(f"{self._host} answered something that is not JSON: is it an API server?") from None
        finally:
            response.release_conn()

    def _send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None,
        content_type: str = "application/json", timeout_s: float | None = _TIMEOUT_S,
    ) -> Any:  # fmt: skip
        import urllib3

        headers = {"accept": "application/json, */*", "user-agent": "kelp"}
        for auth in self.access.api.configuration.auth_settings().values():
            if auth["in"] == "header" and auth["value"]:
                headers[auth["key"]] = auth["value"]
        if body is not None:
            headers["content-type"] = content_type
        url = self._host + path + (f"?{urlencode(query)}" if query else "")
        timeout = urllib3.Timeout(connect=5.0, read=timeout_s)
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._http.request(
                method, url, headers=headers, body=data, timeout=timeout, preload_content=False,
                retries=urllib3.Retry(1, read=False, redirect=False),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"the cluster at {self._host} does not answer: {reason}") from None
        if response.status >= 400:
            raise self._error(response)
        return response

    def _error(self, response: Any) -> KelpError:
        raw = response.read()
        response.release_conn()
        try:
            told = str(json.loads(raw).get("message") or "")
        except (ValueError, AttributeError):
            told = raw.decode("utf-8", "replace").strip()[:300]
        kind = _ERRORS.get(response.status) or (InvalidRequest if response.status < 500 else KelpError)
        return kind(told or f"the cluster at {self._host} answered {response.status}")


def _lines(response: Any) -> Iterator[bytes]:
    rest = b""
    while chunk := response.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
