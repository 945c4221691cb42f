"""The mark on a task that a run made: what CVAT finds it by, and what leads a person back to its source.

It stands in the task's `bug_tracker`, which CVAT's pages offer as a link. Without a host it means the same CVAT,
whatever address the bridge, the server and the browser know it by.
"""

from __future__ import annotations

from bridge.events.task_parameters import TaskParameters


def mark_of(parameters: TaskParameters, task_id: int) -> str:
    """The identity of an output: the same for every run that would make the same task, unless another is asked for."""
    again = f"&again={parameters.again}" if parameters.again else ""
    return f"/tasks/{task_id}?kelp={parameters.kind}&to={parameters.target}{again}"
