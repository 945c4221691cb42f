"""Rows as JSON, key for key as the server writes them."""

from __future__ import annotations

from demo.cvat.state import State
from demo.cvat.tables import (
    Attribute,
    Delivery,
    Import,
    Job,
    Json,
    Label,
    Organization,
    Project,
    Task,
    User,
    Webhook,
)

GROUND_TRUTH = "ground_truth"


class View:
    """Rows seen from an address.

    `base` is the server's address as the caller wrote it, None in a background worker: what is made there has relative
    addresses and lacks the links.
    """

    def __init__(self, state: State, base: str | None) -> None:
        self.state = state
        self.base = base

    def url(self, path: str) -> str:
        return f"{self.base or ''}/api/{path}"

    def link(self, path: str) -> Json | None:
        return {"url": self.url(path)} if self.base is not None else None

    def user(self, user: User | None) -> Json | None:
        if user is None:
            return None
        return {
            "url": self.url(f"users/{user.id}"),
            "id": user.id,
            "username": user.username,
            "first_name": "",
            "last_name": "",
        }

    def sender(self, user: User) -> Json:
        if self.base is None:
            return {"id": user.id, "username": user.username, "email": user.email}
        return self.user(user) or {}

    def account(self, user: User) -> Json:
        return {
            "url": self.url(f"users/{user.id}"),
            "id": user.id,
            "username": user.username,
            "first_name": "",
            "last_name": "",
            "email": user.email,
            "groups": ["admin" if user.superuser else "user"],
            "is_staff": user.superuser,
            "is_superuser": user.superuser,
            "is_active": True,
            "last_login": user.last_login,
            "date_joined": user.joined,
            "has_analytics_access": user.superuser,
        }

    def organization(self, row: Organization) -> Json:
        return {
            "id": row.id,
            "slug": row.slug,
            "name": row.name,
            "description": "",
            "created_date": row.created,
            "updated_date": row.updated,
            "contact": {},
            "owner": self.user(row.owner),
            "uuid": row.uuid,
        }

    def project(self, row: Project) -> Json:
        tasks = self.state.tasks_of(row)
        return {
            "url": self.url(f"projects/{row.id}"),
            "id": row.id,
            "name": row.name,
            "owner": self.user(row.owner),
            "assignee": self.user(row.assignee),
            "guide_id": None,
            "bug_tracker": row.bug_tracker,
            "created_date": row.created,
            "updated_date": row.updated,
            "status": "annotation",
            "dimension": tasks[0].dimension if tasks else None,
            "organization": row.organization.id if row.organization else None,
            "target_storage": None,
            "source_storage": None,
            "tasks": {"count": len(tasks), "url": self.url(f"tasks?project_id={row.id}")},
            "labels": {"url": self.url(f"labels?project_id={row.id}")},
            "assignee_updated_date": row.assignee_updated,
            "task_subsets": sorted({task.subset for task in tasks if task.subset}),
        }

    def task(self, row: Task, *, summary: bool = True) -> Json:
        """`summary` False is how a task appears in most events: the counts of its jobs were not asked for."""
        data = row.data
        return {
            "url": self.url(f"tasks/{row.id}"),
            "id": row.id,
            "name": row.name,
            "project_id": row.project.id if row.project else None,
            "mode": row.mode,
            "owner": self.user(row.owner),
            "assignee": self.user(row.assignee),
            "bug_tracker": row.bug_tracker,
            "created_date": row.created,
            "updated_date": row.updated,
            "overlap": row.overlap,
            "segment_size": row.segment_size,
            "status": row.status,
            **({"data_chunk_size": data.chunk_size, "data_compressed_chunk_type": data.chunk_type} if data else {}),
            "guide_id": None,
            **(
                {
                    "data_original_chunk_type": data.chunk_type,
                    "size": len(data.frames),
                    "image_quality": data.image_quality,
                    "data": data.id,
                }
                if data
                else {}
            ),
            "dimension": row.dimension,
            "subset": row.subset,
            "organization": row.organization.id if row.organization else None,
            "target_storage": None,
            "source_storage": None,
            "jobs": self._job_counts(row, summary),
            "labels": self.link(f"labels?task_id={row.id}"),
            "assignee_updated_date": row.assignee_updated,
            "validation_mode": "gt" if any(job.type == GROUND_TRUTH for job in self.state.jobs_of(row)) else None,
            "consensus_enabled": row.consensus_replicas > 0,
        }

    def _job_counts(self, row: Task, summary: bool) -> Json:
        url = self.url(f"jobs?task_id={row.id}") if self.base is not None else None
        if not summary:
            return {"count": 0, "completed": None, "validation": None, "url": url}
        jobs = self.state.jobs_of(row)
        return {
            "count": len(jobs),
            "completed": sum(job.stage == "acceptance" and job.state == "completed" for job in jobs),
            "validation": sum(job.stage == "validation" for job in jobs),
            "url": url,
        }

    def job(self, row: Job) -> Json:
        data = row.task.data
        return {
            "url": self.url(f"jobs/{row.id}"),
            "id": row.id,
            "task_id": row.task.id,
            "project_id": row.task.project.id if row.task.project else None,
            "assignee": self.user(row.assignee),
            "guide_id": None,
            "dimension": row.task.dimension,
            "bug_tracker": row.task.project.bug_tracker if row.task.project else row.task.bug_tracker,
            "status": row.status,
            "stage": row.stage,
            "state": row.state,
            "mode": row.task.mode,
            "frame_count": len(row.included) if row.included is not None else row.stop - row.start + 1,
            "start_frame": row.start,
            "stop_frame": row.stop,
            "data_chunk_size": data.chunk_size if data else None,
            "data_compressed_chunk_type": data.chunk_type if data else None,
            "data_original_chunk_type": data.chunk_type if data else None,
            "created_date": row.created,
            "updated_date": row.updated,
            "issues": {**link, "count": 0} if (link := self.link(f"issues?job_id={row.id}")) else None,
            "labels": self.link(f"labels?job_id={row.id}"),
            "type": row.type,
            "organization": row.task.organization.id if row.task.organization else None,
            "target_storage": None,
            "source_storage": None,
            "assignee_updated_date": row.assignee_updated,
            "parent_job_id": row.parent.id if row.parent else None,
            "consensus_replicas": row.task.consensus_replicas if row.type == "annotation" else 0,
        }

    def webhook(self, row: Webhook) -> Json:
        last = row.deliveries[-1] if row.deliveries else None
        return {
            "id": row.id,
            "url": self.url(f"webhooks/{row.id}"),
            "target_url": row.target_url,
            "description": row.description,
            "type": row.type,
            "content_type": row.content_type,
            "is_active": row.is_active,
            "enable_ssl": row.enable_ssl,
            "created_date": row.created,
            "updated_date": row.updated,
            "owner": self.user(row.owner),
            "project_id": row.project.id if row.project else None,
            "organization": row.organization.id if row.organization else None,
            "events": row.events,
            **({"last_status": last.status_code, "last_delivery_date": last.updated} if last else {}),
        }


def attribute(row: Attribute) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "mutable": row.mutable,
        "input_type": row.input_type,
        "default_value": row.default_value,
        "values": row.values,
    }


def label(row: Label, owner: tuple[str, int]) -> Json:
    """`owner` is ("project_id" or "task_id", its id)."""
    return {
        "id": row.id,
        "name": row.name,
        "color": row.color,
        "attributes": [attribute(item) for item in row.attributes],
        "type": row.type,
        "sublabels": [_sublabel(item) for item in row.sublabels],
        owner[0]: owner[1],
        "parent_id": None,
        "has_parent": False,
        **({"svg": row.svg} if row.type == "skeleton" else {}),
    }


def _sublabel(row: Label) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "color": row.color,
        "attributes": [attribute(item) for item in row.attributes],
        "type": row.type,
        "has_parent": True,
    }


def delivery(row: Delivery) -> Json:
    return {
        "id": row.id,
        "webhook_id": row.webhook.id,
        "event": row.event,
        "status_code": row.status_code,
        "redelivery": row.redelivery,
        "created_date": row.created,
        "updated_date": row.updated,
        "changed_fields": row.changed_fields,
        "request": row.request,
        "response": row.response,
    }


def background_request(row: Import) -> Json:
    return {
        "status": row.status,
        "message": row.message,
        "id": row.id,
        "operation": {
            "type": "create:task",
            "target": "task",
            "project_id": row.task.project.id if row.task.project else None,
            "task_id": row.task.id,
            "job_id": None,
            "format": None,
        },
        "progress": 0.0,
        "created_date": row.created,
        "started_date": row.started,
        "finished_date": row.finished,
        "expiry_date": row.expires,
        "owner": {"id": row.owner.id, "username": row.owner.username},
        "result_url": None,
        "result_id": None,
    }
