"""Sends signed webhooks in an open loop: each at its own time, whatever became of those before it.

python -m benchmarks.webhooks.sender reads JSON (url, secret, rate, seconds, jobs) from its standard input and writes
JSON: latencies_ms, from the time each was due until it was answered, by due time; runs, the ids that were answered;
codes, how often each status came; seconds, until the last answer.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

RECORDED = Path(__file__).parents[2] / "tests" / "recordings" / "deliveries" / "016_update-job_ok.json"
ANSWER_S = 30.0
LEAD_S = 0.5


class Connections:
    """Kept open, as a server's are; a new one where all are busy."""

    def __init__(self, url: SplitResult) -> None:
        self._url = url
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        reader, writer = (
            self._free.pop() if self._free else await asyncio.open_connection(self._url.hostname, self._url.port)
        )
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        self._free.append((reader, writer))
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


def requests(url: SplitResult, secret: str, jobs: list[int], count: int) -> list[bytes]:
    """`count` deliveries as CVAT sends them, each a different start of one of `jobs` in turn."""
    payload = json.loads(json.loads(RECORDED.read_text(encoding="utf-8"))["raw_body"])
    made = []
    for number in range(count):
        payload["job"] |= {"id": jobs[number % len(jobs)], "updated_date": f"2026-01-01T00:00:00.{number:06d}Z"}
        body = json.dumps(payload).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        head = (
            f"POST {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
            f"X-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


async def send_all(given: dict[str, Any]) -> dict[str, Any]:
    url = urlsplit(given["url"])
    bodies = requests(url, given["secret"], given["jobs"], round(given["rate"] * given["seconds"]))
    connections = Connections(url)
    latencies = [0.0] * len(bodies)
    codes: Counter[str] = Counter()
    runs: list[str] = []
    # The sender's own pauses must not look like the bridge's.
    gc.collect()
    gc.disable()
    start = time.perf_counter() + LEAD_S

    async def one(number: int, due: float) -> None:
        try:
            status, body = await asyncio.wait_for(connections.send(bodies[number]), ANSWER_S)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            codes[type(error).__name__] += 1
        else:
            codes[str(status)] += 1
            if status == 202:
                runs.append(json.loads(body)["run"])
        latencies[number] = (time.perf_counter() - due) * 1000.0

    tasks = []
    for number in range(len(bodies)):
        due = start + number / given["rate"]
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - start
    connections.close()
    return {"latencies_ms": [round(ms, 2) for ms in latencies], "runs": runs, "codes": codes, "seconds": seconds}


if __name__ == "__main__":
    json.dump(asyncio.run(send_all(json.load(sys.stdin))), sys.stdout)
