"""One module a resource; each adds its routes to the table."""

from demo.cvat.http import Routes
from demo.cvat.routes import (
    about,
    annotations,
    frames,
    jobs,
    labels,
    organizations,
    projects,
    requests,
    session,
    task_annotations,
    tasks,
    tus,
    uploads,
    users,
    webhooks,
)

MODULES = (
    about,
    session,
    users,
    organizations,
    projects,
    labels,
    webhooks,
    task_annotations,
    tasks,
    uploads,
    frames,
    tus,
    jobs,
    annotations,
    requests,
)


def routes() -> Routes:
    """The whole API."""
    table = Routes()
    for module in MODULES:
        module.register(table)
    return table
