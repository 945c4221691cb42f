"""`/api/server/about`."""

from __future__ import annotations

from starlette.responses import Response

from demo.cvat.http import Call, Routes, reply

DESCRIPTION = "An in-memory stand-in for CVAT: the part of its API that Kelp talks to."


def register(routes: Routes) -> None:
    routes.add("GET", "/server/about", is_open=True)(about)


def about(call: Call) -> Response:
    return reply(
        {
            "name": "Computer Vision Annotation Tool",
            "description": DESCRIPTION,
            "version": call.server.settings.version,
            "logo_url": f"{call.base}/static/logo.svg",
            "subtitle": "Stand-in",
        }
    )
