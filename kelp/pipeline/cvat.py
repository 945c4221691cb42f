"""CVAT as `kelp pipeline` needs it: projects, labels, webhooks, their pings. One request after the other."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from kelp.pipeline.errors import CvatDenied, CvatDown, CvatForbidden, CvatGone, CvatRefused
from kelp.pipeline.settings import PipelineSettings
from kelp.settings.process import SettingsError

# `application/json` is answered with 406.
ACCEPT = "application/vnd.cvat+json"
PAGE = 100
PING_S = 15.0
TIMEOUT_S = 60.0  # a ping waits for the bridge's answer, up to CVAT's own 10 s
SHOWN = 300
Json = dict[str, Any]


class Cvat:
    """A context manager. Errors are those of `kelp.pipeline.errors`; none of them shows a secret."""

    def __init__(self, settings: PipelineSettings) -> None:
        headers = {"Accept": ACCEPT, "User-Agent": "kelp-pipeline"}
        auth: httpx.Auth | None = None
        if token := settings.cvat_token.get_secret_value():
            headers["Authorization"] = f"Bearer {token}"
        else:
            auth = httpx.BasicAuth(settings.cvat_user, settings.cvat_password.get_secret_value())
        if settings.cvat_org:
            headers["X-Organization"] = settings.cvat_org
        self.url = settings.cvat_url
        self.organization = settings.cvat_org
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            auth=auth,
            verify=_trusted(settings.cvat_ca) if settings.cvat_ca else True,
            timeout=httpx.Timeout(TIMEOUT_S, connect=5.0),
            follow_redirects=False,
        )

    def __enter__(self) -> Cvat:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def about(self) -> Json:
        """Its version; nobody needs an account for that."""
        return self._object("GET", "/api/server/about")

    def myself(self) -> Json:
        return self._object("GET", "/api/users/self")

    def projects(self, name: str = "") -> Iterator[Json]:
        """All that the account sees in its organization, or those of that very name."""
        for row in self._rows("/api/projects", {"name": name} if name else {}):
            # A parameter that a server does not know is ignored there, and everything listed.
            if not name or row["name"] == name:
                yield row

    def project(self, number: int) -> Json:
        return self._object("GET", f"/api/projects/{number}")

    def labels(self, project: int) -> list[Json]:
        """Those of a project, by age."""
        rows = [row for row in self._rows("/api/labels", {"project_id": project}) if row.get("project_id") == project]
        return sorted(rows, key=lambda row: int(row["id"]))

    def webhooks(self, project: int | None = None) -> list[Json]:
        """Those of a project, or all that the account sees, by age."""
        rows = self._rows("/api/webhooks", {} if project is None else {"project_id": project})
        found = [row for row in rows if project is None or row.get("project_id") == project]
        return sorted(found, key=lambda row: int(row["id"]))

    def create_project(self, body: Json) -> Json:
        return self._object("POST", "/api/projects", body)

    def change_project(self, number: int, body: Json) -> Json:
        return self._object("PATCH", f"/api/projects/{number}", body)

    def delete_project(self, number: int) -> None:
        self._call("DELETE", f"/api/projects/{number}")

    def create_webhook(self, body: Json) -> Json:
        return self._object("POST", "/api/webhooks", body)

    def change_webhook(self, number: int, body: Json) -> Json:
        return self._object("PATCH", f"/api/webhooks/{number}", body)

    def delete_webhook(self, number: int) -> None:
        self._call("DELETE", f"/api/webhooks/{number}")

    def ping(self, webhook: int) -> Json:
        """The delivery of a ping that CVAT has just sent: `status_code`, `response`."""
        delivery = self._object("POST", f"/api/webhooks/{webhook}/ping")
        ends = time.monotonic() + PING_S
        # CVAT answers once it knows; a server that answers before is asked again.
        while delivery.get("status_code") is None and delivery.get("id") and time.monotonic() < ends:
            time.sleep(0.5)
            delivery = self._object("GET", f"/api/webhooks/{webhook}/deliveries/{delivery['id']}")
        return delivery

    def _rows(self, path: str, query: Json) -> Iterator[Json]:
        """Every row of a list, page by page by number: the `next` address is CVAT's idea of its own host."""
        page = 1
        while True:
            answer = self._object("GET", path, query={**query, "page": page, "page_size": PAGE})
            rows = answer.get("results")
            if not isinstance(rows, list):
                raise CvatRefused(f"{self.url} answered {path} with something that is no list of CVAT's")
            yield from rows
            if not answer.get("next") or not rows:
                return
            page += 1

    def _object(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> Json:
        try:
            given = self._call(method, path, body, query).json()
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise CvatRefused(
                f"{self.url} answered {path} with something that is not CVAT's: is it one? (KELP_CVAT_URL)"
            )
        return given

    def _call(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            raise CvatDown(f"no CVAT answers at {self.url} (KELP_CVAT_URL): {_kind(error)}") from None
        if response.status_code < 300:
            return response
        raise _error(self.url, method, path, response)


def _trusted(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:
        raise SettingsError(f"KELP_CVAT_CA: {ca}: {error.strerror or 'no certificates'}") from None


def _error(url: str, method: str, path: str, response: httpx.Response) -> Exception:
    status = response.status_code
    text = " ".join(response.text[:SHOWN].split()) if "html" not in response.headers.get("content-type", "") else ""
    told = f"CVAT answered {status} to {method} {path}" + (f": {text}" if text else "")
    if status == 401:
        return CvatDenied(told)
    if status == 403:
        return CvatForbidden(told)
    if status in {404, 410}:
        return CvatGone(told)
    if status == 429 or status >= 500:
        return CvatDown(told)
    if status < 400:
        return CvatRefused(f"{url} redirects {path}: KELP_CVAT_URL must be the address that CVAT really has")
    return CvatRefused(told)


def _kind(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
