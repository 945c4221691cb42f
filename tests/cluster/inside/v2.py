"""kserve's own clients against one model, REST and gRPC, from inside the cluster.

python - REST|GRPC HOST MODEL [SIZE]: HOST is NAME.NAMESPACE.svc.cluster.local, or HOST:PORT for any other door.
Prints {"ready", "metadata", "detections", "label", "seconds": […]}.
"""

import asyncio
import base64
import json
import sys
import time

import cv2
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

from demo.reef import render


def picture(size: int) -> bytes:
    """A photograph of the synthetic reef as JPEG."""
    done, data = cv2.imencode(".jpg", render(7, size).image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return data.tobytes()


def asked(model: str, image: bytes, *, raw: bool) -> InferRequest:
    given = InferInput("image", [1], "BYTES", None if raw else [base64.b64encode(image).decode()])
    if raw:
        given.set_data_from_numpy(np.array([image], object), binary_data=True)
    return InferRequest(model, [given])


def report(answer, **more) -> None:
    found = {output.name: output.as_numpy() for output in answer.outputs}
    names = [name.decode() if isinstance(name, bytes) else name for name in found["labels"].tolist()]
    best = int(found["score"].argmax()) if len(found["score"]) else None
    label = names[found["label_id"][best]] if best is not None else None
    print(json.dumps({"detections": len(found["score"]), "label": label, "outputs": sorted(found), **more}))


async def rest(host: str, model: str, image: bytes) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=120))
    url = f"http://{host}"
    ready = await client.is_model_ready(url, model)
    seconds = []
    for raw in (False, True):
        began = time.perf_counter()
        answer = await client.infer(url, asked(model, image, raw=raw), model_name=model)
        seconds.append(time.perf_counter() - began)
    report(answer, ready=ready, seconds=seconds)
    await client.close()


async def grpc(host: str, model: str, image: bytes) -> None:
    client = InferenceGRPCClient(host if ":" in host else f"{host}:80", timeout=120)
    ready = await client.is_model_ready(model)
    began = time.perf_counter()
    answer = await client.infer(asked(model, image, raw=True))
    report(answer, ready=bool(ready), seconds=[time.perf_counter() - began])
    await client.close()


protocol, host, model = sys.argv[1:4]
image = picture(int(sys.argv[4]) if len(sys.argv) > 4 else 960)
asyncio.run({"REST": rest, "GRPC": grpc}[protocol](host, model, image))
