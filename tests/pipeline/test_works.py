"""What apply sets up does its work: a task that comes into the project is annotated before anybody opens it."""

from __future__ import annotations

from tests.support.cvat import picture, wait_for


def test_a_new_task_is_annotated_by_the_webhook_that_was_applied(live) -> None:
    live.write({"reef": {"webhooks": {"found": {"detect": "reef", "on": "created", "shape": "polygon"}}}})
    live.apply()
    task = live.cvat.task(live.project("reef"), [picture(64, 64, (250, 30, 30))])
    shapes = wait_for(lambda: live.cvat.shapes(task.jobs[0]))
    red = live.labels("reef")["red"]["id"]
    assert {(shape["label_id"], shape["type"]) for shape in shapes} == {(red, "polygon")}
