"""Who calls (by Basic, a token, or a session's cookies), and in the name of which organization."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from demo.cvat.errors import Refusal, bad_request, forbidden, unauthorized
from demo.cvat.tables import Job, Project, Task, User, Webhook

if TYPE_CHECKING:
    from demo.cvat.http import Call

SESSION_COOKIE = "sessionid"
CSRF_COOKIE = "csrftoken"


class RateLimit:
    """Calls without credentials from one address within a minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._seen: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        if not self._per_minute:
            return
        now = time.monotonic()
        with self._lock:
            calls = self._seen.setdefault(address, deque())
            while calls and calls[0] <= now - 60:
                calls.popleft()
            if len(calls) >= self._per_minute:
                wait = max(1, round(calls[0] + 60 - now))
                detail = f"Request was throttled. Expected available in {wait} seconds."
                raise Refusal(429, {"detail": detail}, headers={"Retry-After": str(wait)})
            calls.append(now)


def user_of(call: Call) -> User | None:
    """The caller, None for an anonymous one. Raises 401 for credentials that are wrong, 403 without a CSRF token."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        return _basic(call, value.strip())
    if scheme == "Token":
        if not value.strip():
            raise unauthorized("Invalid token header. No credentials provided.")
        user = call.state.tokens.get(value.strip())
        if user is None:
            raise unauthorized("Invalid token.")
        return user
    if scheme == "Bearer" and value:
        owner = next((row for row in call.state.users.values() if row.access_token == value.strip()), None)
        if owner is not None:
            return owner
    user = call.state.sessions.get(call.request.cookies.get(SESSION_COOKIE, ""))
    if user is not None and call.request.method not in ("GET", "HEAD", "OPTIONS"):
        token = call.headers.get("x-csrftoken")
        if not token or token != call.request.cookies.get(CSRF_COOKIE):
            raise forbidden("CSRF Failed: CSRF token missing.")
    return user


def _basic(call: Call, value: str) -> User:
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise unauthorized("Invalid basic header. Credentials not correctly base64 encoded.") from None
    user = call.state.user_named(name)
    if user is None or user.password != password:
        raise unauthorized("Invalid username/password.")
    return user


def choose_organization(call: Call) -> None:
    """Take `X-Organization`, `org` or `org_id`; without any of them lists span all organizations."""
    header, slug, number = call.headers.get("x-organization"), call.query.get("org"), call.query.get("org_id")
    if header is not None and slug is not None and header != slug:
        raise bad_request(
            ['You cannot specify "org" query parameter and "X-Organization" HTTP header with different values.']
        )
    wanted = header if header is not None else slug
    with call.state.lock:
        rows = list(call.state.organizations.values())
    if wanted:
        call.organization = next((row for row in rows if row.slug == wanted), None)
        if call.organization is None:
            raise Refusal(404, {"detail": f"{wanted} organization does not exist."})
    elif number:
        call.organization = next((row for row in rows if str(row.id) == number), None)
        if call.organization is None:
            raise Refusal(404, {"detail": f"{number} organization does not exist."})
    elif wanted is not None:
        call.personal_only = True
    if call.organization is not None and not (call.user.superuser or call.user.id in call.organization.members):
        raise forbidden()


def may(user: User, row: Project | Task | Job | Webhook) -> bool:
    """Whether `user` may see and change `row`: the administrator, owners, and who is assigned."""
    if user.superuser:
        return True
    if isinstance(row, Webhook):
        return row.owner is user
    if user is row.assignee:
        return True
    if isinstance(row, Job):
        return may(user, row.task)
    if user is row.owner:
        return True
    return isinstance(row, Task) and row.project is not None and may(user, row.project)


def check(user: User, row: Project | Task | Job | Webhook) -> None:
    if not may(user, row):
        raise forbidden()


def in_scope(call: Call, row: Project | Task | Job | Webhook) -> bool:
    """Whether a list shows `row` under the organization the caller chose."""
    organization = row.task.organization if isinstance(row, Job) else row.organization
    if call.organization is not None:
        return organization is call.organization
    return organization is None or not call.personal_only
