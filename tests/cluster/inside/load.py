"""Load on one model over REST from inside the cluster, without a single retry.

python - HOST MODEL SECONDS WORKERS: prints {"sent", "failed": […], "by_detections": {count: answers}, "p50_ms", …}.
A request fails where it is not answered with 200: a broken connection, a 5xx, a 404 of a route that is missing.
"""

import asyncio
import json
import sys
import time
from collections import Counter

import cv2
import httpx

from demo.reef import render

host, model, seconds, workers = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
done, jpeg = cv2.imencode(".jpg", render(7, 480).image[:, :, ::-1])
image = jpeg.tobytes()
head = json.dumps(
    {
        "inputs": [
            {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(image) + 4}}
        ],
        "outputs": [{"name": "score"}],
    }
).encode()
body = head + len(image).to_bytes(4, "little") + image
headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}

failed: list[str] = []
latencies: list[float] = []
found: Counter[str] = Counter()


async def worker(client: httpx.AsyncClient, ends: float) -> None:
    while time.monotonic() < ends:
        began = time.monotonic()
        try:
            answer = await client.post(f"http://{host}/v2/models/{model}/infer", content=body, headers=headers)
        except httpx.HTTPError as error:
            failed.append(f"{time.time():.3f} {type(error).__name__}: {error}")
            continue
        if answer.status_code != 200:
            failed.append(f"{time.time():.3f} {answer.status_code}: {answer.text[:200]}")
            continue
        latencies.append(time.monotonic() - began)
        found[str(answer.json()["outputs"][0]["shape"][0])] += 1


async def main() -> None:
    ends = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        await asyncio.gather(*(worker(client, ends) for _ in range(workers)))
    latencies.sort()
    at = [latencies[int(len(latencies) * part)] * 1000 for part in (0.5, 0.99)] if latencies else [0, 0]
    print(
        json.dumps(
            {
                "sent": len(latencies) + len(failed),
                "failed": failed[:20],
                "by_detections": found,
                "p50_ms": round(at[0], 1),
                "p99_ms": round(at[1], 1),
            }
        )
    )


asyncio.run(main())
