"""`/api/organizations`: as much as selecting one by `X-Organization` needs."""

from __future__ import annotations

import re
import secrets
import uuid

from starlette.responses import Response

from demo.cvat import clock, lists
from demo.cvat.errors import absent, bad_request, forbidden, required, server_error
from demo.cvat.http import Call, Routes, reply
from demo.cvat.routes.projects import remove as remove_project
from demo.cvat.tables import Organization

TERMS: lists.Terms[Organization] = {
    "id": lambda row: row.id,
    "slug": lambda row: row.slug,
    "name": lambda row: row.name,
}


def register(routes: Routes) -> None:
    routes.add("POST", "/organizations")(create)
    routes.add("GET", "/organizations")(listed)
    routes.add("DELETE", "/organizations/{id}")(delete)
    routes.add("POST", "/invitations")(invite)


def create(call: Call) -> Response:
    fields = call.fields()
    slug = fields.get("slug")
    if not slug:
        raise required("slug")
    if not re.fullmatch(r"[-\w]+", slug):
        raise bad_request({"slug": ['Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.']})
    with call.state.lock:
        if any(row.slug == slug for row in call.state.organizations.values()):
            raise bad_request({"slug": ["organization with this slug already exists."]})
        row = Organization(
            call.state.next_id("organization"),
            slug,
            fields.get("name") or slug,
            call.user,
            clock.now(),
            clock.now(),
            str(uuid.uuid4()),
            {call.user.id: "owner"},
        )
        call.state.organizations[row.id] = row
        return reply(call.view.organization(row), 201)


def listed(call: Call) -> Response:
    with call.state.lock:
        rows = [row for row in call.state.organizations.values() if call.user.superuser or call.user.id in row.members]
        return reply(lists.page(call, lists.select(rows, call.query, {}, TERMS), call.view.organization))


def invite(call: Call) -> Response:
    """Who is invited by e-mail is a member at once."""
    fields = call.fields()
    with call.state.lock:
        user, row = call.state.user_named(fields.get("email", "")), call.organization
        if row is None or user is None:
            raise server_error()
        if row.owner is not call.user:
            raise forbidden()
        row.members[user.id] = fields.get("role", "worker")
        return reply(
            {
                "key": secrets.token_hex(32),
                "created_date": clock.now(),
                "owner": call.view.user(call.user),
                "role": row.members[user.id],
                "user": call.view.user(user),
                "organization": row.id,
                "expired": None,
                "organization_info": {"id": row.id, "slug": row.slug},
            },
            201,
        )


def delete(call: Call) -> Response:
    with call.state.lock:
        row = call.state.organizations.get(call.id)
        if row is None:
            raise absent("Organization")
        if not (call.user.superuser or row.owner is call.user):
            raise forbidden()
        for project in [item for item in call.state.projects.values() if item.organization is row]:
            remove_project(call, project)
        for webhook in [item for item in call.state.webhooks.values() if item.organization is row]:
            del call.state.webhooks[webhook.id]
        del call.state.organizations[row.id]
    return reply(status=204)
