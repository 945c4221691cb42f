"""What there is of one kind in one namespace, kept up to date: listed once, then watched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from bridge import log
from bridge.kube.api import Expired, KubeApi
from kelp.errors import KelpError

T = TypeVar("T")

PAGE = 500
# The server ends a watch after so long, each at another moment.
WATCH_SECONDS = (240, 300)
# A watch that ends at once is not begun again at once.
LEAST_SECONDS = 1.0
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Watched(Generic[T]):
    """`items`: what `read` makes of each object, by name; what it makes None of is not ours.

    `problem` says why `items` may be out of date; None while a watch is open.
    """

    def __init__(
        self,
        api: KubeApi,
        path: str,
        read: Callable[[Mapping[str, Any]], T | None],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._api = api
        self._path = path
        self._read = read
        self._on_change = on_change
        self._version: str | None = None
        self.items: dict[str, T] = {}
        self.problem: str | None = "not listed yet"

    async def run(self) -> None:
        """List and watch for ever."""
        pause = PAUSE_S
        while True:
            began = time.monotonic()
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
                pause = PAUSE_S
            except Expired:
                self._version = None
                pause = PAUSE_S
            except KelpError as error:
                if self.problem is None:
                    log.event("watch_broken", level=logging.WARNING, path=self._path, error=error)
                self.problem = error.message
                await asyncio.sleep(max(pause * random.uniform(0.5, 1.0), error.retry_after_s or 0.0))
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            await asyncio.sleep(max(0.0, LEAST_SECONDS - (time.monotonic() - began)))

    async def _list(self) -> None:
        found: dict[str, T] = {}
        query = {"limit": str(PAGE)}
        while True:
            page = await self._api.get(self._path, query)
            for item in page.get("items") or ():
                self._take(found, item)
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                break
        self._version = page["metadata"]["resourceVersion"]
        self.items = found
        self.problem = None
        self._on_change()
        log.event("listed", level=logging.DEBUG, path=self._path, found=len(found), version=self._version)

    async def _watch(self) -> None:
        assert self._version is not None
        query = {
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),
        }
        async with contextlib.aclosing(self._api.watch(self._path, query)) as events:
            async for event in events:
                self.problem = None
                self._heed(event)

    def _heed(self, event: Mapping[str, Any]) -> None:
        item = event["object"]
        self._version = item["metadata"]["resourceVersion"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._take(self.items, item)
            case "DELETED":
                self.items.pop(item["metadata"]["name"], None)
            case _:  # a bookmark: nothing but the version
                return
        self._on_change()

    def _take(self, items: dict[str, T], item: Mapping[str, Any]) -> None:
        name = item["metadata"]["name"]
        value = self._read(item)
        if value is None:
            items.pop(name, None)
        else:
            items[name] = value
