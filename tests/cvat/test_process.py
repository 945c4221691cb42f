"""The stand-in as a process of its own."""

from __future__ import annotations

import time

import httpx

from tests.support.cvat import Cvat, pictures, polygon, stand_in_process


def test_options_of_the_command_line_take_effect() -> None:
    with stand_in_process(
        "--user", "ann:secret", "--user", "bob:other", "--version", "2.61.0", "--access-token", "pat-1"
    ) as server:
        about = httpx.get(f"{server.url}/api/server/about").json()
        assert about["version"] == "2.61.0"
        users = httpx.get(f"{server.url}/api/users", auth=("ann", "secret")).json()
        assert [user["username"] for user in users["results"]] == ["bob", "ann"]
        assert [user["is_superuser"] for user in users["results"]] == [False, True]
        bearer = httpx.get(f"{server.url}/api/users/self", headers={"Authorization": "Bearer pat-1"})
        assert bearer.json()["username"] == "ann"
        assert httpx.get(f"{server.url}/api/users/self", auth=("kelp", "kelp-password-1")).status_code == 401


def test_at_its_recorded_speed_2000_polygons_take_a_second() -> None:
    with stand_in_process("--recorded-speed") as server:
        cvat = Cvat(server)
        project = cvat.project()
        job = cvat.task(project, pictures(1)).jobs[0]
        points = [float(value) for value in range(60)]
        shape = polygon(cvat.labels(project)["Porites"]) | {"points": points}
        began = time.monotonic()
        cvat.add_shapes(job, [shape] * 2000)
        assert time.monotonic() - began >= 1.0
        cvat.close()
