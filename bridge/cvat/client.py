"""The calls a run makes. Paths are built here from ids; no address out of an answer or a payload is ever followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from bridge.cvat.objects import Delivery, FrameSizes, Job, Label, Webhook
from bridge.cvat.tasks import CvatTasks
from bridge.cvat.transport import Transport

PAGE = 100
# 20,000 polygons take CVAT 11.5 s, and a loaded server several times that.
CHANGE_TIMEOUT_S = 300.0


class Cvat:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.tasks = CvatTasks(transport, self.pages)

    async def close(self) -> None:
        await self._transport.close()

    async def job(self, job_id: int) -> Job:
        return Job.of(await self._transport.get(f"/api/jobs/{job_id}"))

    async def jobs_of_task(self, task_id: int) -> list[Job]:
        return await self._jobs({"task_id": task_id})

    async def jobs_of_project(self, project_id: int) -> list[Job]:
        return await self._jobs({"project_id": project_id})

    async def _jobs(self, of: Mapping[str, int]) -> list[Job]:
        """Annotation jobs, by task and first frame: CVAT lists them newest first."""
        found = [Job.of(data) async for data in self.pages("/api/jobs", {**of, "type": "annotation"}, listing=False)]
        # A parameter that a server does not know is ignored there, and everything listed: look again.
        (name, value), *_ = of.items()
        mine = [job for job in found if getattr(job, name) == value and job.type == "annotation"]
        return sorted(mine, key=lambda job: (job.task_id, job.start_frame, job.id))

    async def task(self, task_id: int) -> dict[str, Any]:
        task: dict[str, Any] = await self._transport.get(f"/api/tasks/{task_id}")
        return task

    async def project(self, project_id: int) -> dict[str, Any]:
        project: dict[str, Any] = await self._transport.get(f"/api/projects/{project_id}")
        return project

    async def data_request(self, task_id: int) -> dict[str, Any]:
        """State of the request that gives a task its data; CvatGone some minutes after its end."""
        name = f"action=create&target=task&target_id={task_id}"
        request: dict[str, Any] = await self._transport.get(f"/api/requests/{name}")
        return request

    async def frame_sizes(self, job_id: int) -> FrameSizes:
        return FrameSizes.of(await self._transport.get(f"/api/jobs/{job_id}/data/meta"))

    async def labels(self, job_id: int) -> list[Label]:
        return [Label.of(data) async for data in self.pages("/api/labels", {"job_id": job_id}, listing=False)]

    async def frame(self, job_id: int, number: int) -> bytes:
        """The frame's original bytes; `number` is the task's own."""
        params = {"type": "frame", "number": number, "quality": "original"}
        return await self._transport.get_bytes(f"/api/jobs/{job_id}/data", params)

    async def annotations(self, job_id: int) -> dict[str, Any]:
        """`{"shapes": […], "tags": […], "tracks": […]}`; the order within a frame means nothing."""
        found: dict[str, Any] = await self._transport.get(f"/api/jobs/{job_id}/annotations")
        return found

    async def create(self, job_id: int, body: bytes) -> dict[str, Any]:
        """Add the shapes and tags in `body` (JSON), all or none; the answer has them in the same order, with ids.

        Sent once: InDoubt where no answer says whether they were added.
        """
        return await self._change(job_id, "create", body, once=True)

    async def delete(self, job_id: int, body: bytes) -> dict[str, Any]:
        """Delete the shapes and tags in `body`; those that are gone already do not matter."""
        return await self._change(job_id, "delete", body, once=False)

    async def _change(self, job_id: int, action: str, body: bytes, *, once: bool) -> dict[str, Any]:
        send = self._transport.change if once else self._transport.repeat_change
        path = f"/api/jobs/{job_id}/annotations"
        answer: dict[str, Any] = await send(path, {"action": action}, body, timeout_s=CHANGE_TIMEOUT_S)
        return answer

    async def webhooks(self) -> list[Webhook]:
        return [Webhook.of(data) async for data in self.pages("/api/webhooks", {})]

    async def webhooks_of_project(self, project_id: int) -> list[Webhook]:
        found = self.pages("/api/webhooks", {"project_id": project_id}, listing=False)
        return [Webhook.of(data) async for data in found if data.get("project_id") == project_id]

    async def deliveries(self, webhook_id: int) -> AsyncIterator[Delivery]:
        """Newest first."""
        async for data in self.pages(f"/api/webhooks/{webhook_id}/deliveries", {}, listing=False):
            yield Delivery.of(data)

    async def pages(
        self, path: str, params: Mapping[str, Any], *, listing: bool = True
    ) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list, page by page by number: the `next` address is CVAT's idea of its own host."""
        page = 1
        while True:
            answer = await self._transport.get(path, {**params, "page_size": PAGE, "page": page}, listing=listing)
            for item in answer["results"]:
                yield item
            if not answer.get("next") or not answer["results"]:
                return
            page += 1

    async def about(self) -> dict[str, Any]:
        """CVAT's version, and so whether it is there and knows us."""
        about: dict[str, Any] = await self._transport.get("/api/server/about")
        return about

    async def whoami(self) -> str:
        """The user name that CVAT knows us by; CvatRefused where it does not."""
        return str((await self._transport.get("/api/users/self")).get("username") or "")
