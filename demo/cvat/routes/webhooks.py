"""`/api/webhooks` and their deliveries."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.responses import Response

from demo.cvat import auth, clock, lists, views
from demo.cvat.deliveries import Parcel
from demo.cvat.errors import absent, bad_request, forbidden, no_choice, required, server_error
from demo.cvat.events import ORGANIZATION_EVENTS, PROJECT_EVENTS
from demo.cvat.http import Call, Routes, located, reply
from demo.cvat.tables import Delivery, Json, Webhook

SECRET_LENGTH = 64
EVENTS = {"project": PROJECT_EVENTS, "organization": ORGANIZATION_EVENTS}
ALL_EVENTS = sorted({*PROJECT_EVENTS, *ORGANIZATION_EVENTS})
TERMS: lists.Terms[Webhook] = {
    "id": lambda row: row.id,
    "target_url": lambda row: row.target_url,
    "owner": lambda row: row.owner.username,
    "type": lambda row: row.type,
    "description": lambda row: row.description,
    "project_id": lambda row: row.project.id if row.project else None,
    "updated_date": lambda row: row.updated,
}
SIMPLE: lists.Terms[Webhook] = {name: TERMS[name] for name in ("target_url", "owner", "type", "project_id")}
DELIVERY_TERMS: lists.Terms[Delivery] = {"id": lambda row: row.id}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z-]{{2,63}}|xn--[a-z0-9]{{1,59}})\.?|localhost", re.IGNORECASE)


def register(routes: Routes) -> None:
    routes.add("GET", "/webhooks")(listed)
    routes.add("POST", "/webhooks")(create)
    routes.add("GET", "/webhooks/events")(events)
    routes.add("GET", "/webhooks/{id}")(read)
    routes.add("PATCH", "/webhooks/{id}")(update)
    routes.add("DELETE", "/webhooks/{id}")(delete)
    routes.add("POST", "/webhooks/{id}/ping")(ping)
    routes.add("GET", "/webhooks/{id}/deliveries")(deliveries)
    routes.add("GET", "/webhooks/{id}/deliveries/{delivery}")(delivery)
    routes.add("POST", "/webhooks/{id}/deliveries/{delivery}/redelivery")(redeliver)


def _webhook(call: Call) -> Webhook:
    row = call.state.webhook(call.id)
    auth.check(call.user, row)
    return row


def listed(call: Call) -> Response:
    with call.state.lock:
        rows = [row for row in call.state.webhooks.values() if auth.may(call.user, row) and auth.in_scope(call, row)]
        return reply(lists.page(call, lists.select(rows, call.query, SIMPLE, TERMS), call.view.webhook))


def events(call: Call) -> Response:
    kind = call.query.get("type")
    return reply({"webhook_type": kind, "events": EVENTS.get(kind or "", ALL_EVENTS)})


def create(call: Call) -> Response:
    fields = call.fields()
    missing = [name for name in ("target_url", "type", "events") if name not in fields]
    if missing:
        raise required(*missing)
    _check(fields)
    kind = fields["type"]
    if kind not in EVENTS:
        raise no_choice("type", kind)
    with call.state.lock:
        project = None
        if kind == "project":
            project = call.state.projects.get(fields.get("project_id") or 0)
            if project is None:
                raise bad_request(["Project matching query does not exist."])
            auth.check(call.user, project)
        elif call.organization is None:
            raise server_error()
        elif not (call.user.superuser or call.organization.owner is call.user):
            raise forbidden()
        _check_events(kind, fields["events"])
        row = Webhook(
            call.state.next_id("webhook"),
            fields["target_url"],
            kind,
            call.user,
            clock.now(),
            clock.now(),
            sorted(set(fields["events"])),
            project,
            project.organization if project else call.organization,
            fields.get("description", ""),
            secret=fields.get("secret", ""),
            is_active=fields.get("is_active", True),
            enable_ssl=fields.get("enable_ssl", True),
        )
        call.state.webhooks[row.id] = row
        return located(call.view.webhook(row))


def _check(fields: Json) -> None:
    if "target_url" in fields and not _is_url(fields["target_url"]):
        raise bad_request({"target_url": ["Enter a valid URL."]})
    if len(fields.get("secret") or "") > SECRET_LENGTH:
        raise bad_request({"secret": [f"Ensure this field has no more than {SECRET_LENGTH} characters."]})
    for event in fields.get("events", []):
        if event not in ALL_EVENTS:
            raise no_choice("events", event)


def _check_events(kind: str, wanted: list[str]) -> None:
    if not wanted or not set(wanted) <= set(EVENTS[kind]):
        raise bad_request({"non_field_errors": [f"Invalid events list for {kind} webhook"]})


def _is_url(text: str) -> bool:
    """Django's idea of one: the host has a dot, is an address, or is localhost."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https", "ftp", "ftps") or " " in text:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


def read(call: Call) -> Response:
    with call.state.lock:
        return reply(call.view.webhook(_webhook(call)))


def update(call: Call) -> Response:
    """What is not sent stays, the secret too."""
    fields = call.fields()
    _check(fields)
    with call.state.lock:
        row = _webhook(call)
        if "events" in fields:
            _check_events(row.type, fields["events"])
            row.events = sorted(set(fields["events"]))
        row.target_url = fields.get("target_url", row.target_url)
        row.description = fields.get("description", row.description)
        row.secret = fields.get("secret", row.secret)
        row.is_active = fields.get("is_active", row.is_active)
        row.enable_ssl = fields.get("enable_ssl", row.enable_ssl)
        row.updated = clock.now()
        return reply(call.view.webhook(row))


def delete(call: Call) -> Response:
    with call.state.lock:
        del call.state.webhooks[_webhook(call).id]
    return reply(status=204)


def ping(call: Call) -> Response:
    """Sent while the caller waits, past the queue; 200 whatever the receiver answered."""
    with call.state.lock:
        row = _webhook(call)
        payload = {"event": "ping", "webhook": call.view.webhook(row), "sender": call.view.sender(call.user)}
    sent = call.server.sender.send(Parcel(row, row.target_url, row.secret, "ping", payload))
    return reply(views.delivery(sent) | {"request": payload})


def deliveries(call: Call) -> Response:
    """Newest first."""
    with call.state.lock:
        rows = lists.select(_webhook(call).deliveries, call.query, {}, DELIVERY_TERMS)
        return reply(lists.page(call, rows, views.delivery))


def _delivery(call: Call) -> Delivery | None:
    rows = _webhook(call).deliveries
    return next((row for row in rows if str(row.id) == call.path["delivery"]), None)


def delivery(call: Call) -> Response:
    with call.state.lock:
        row = _delivery(call)
        if row is None:
            raise absent("WebhookDelivery")
        return reply(views.delivery(row))


def redeliver(call: Call) -> Response:
    """The same content once more, as it was stored: other bytes than the first time."""
    with call.state.lock:
        row = _delivery(call)
        if row is None:
            raise server_error()
        hook = row.webhook
        parcel = Parcel(hook, hook.target_url, hook.secret, row.event, row.request, redelivery=True)
    call.server.sender.put(parcel)
    return reply({})
