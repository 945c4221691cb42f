"""One request to a model that is asleep, from inside the cluster, and some to it awake.

python - PROTOCOL HOST MODEL INPUT: PROTOCOL is rest or grpc; INPUT is `image` (a JPEG, Kelp's), `hole` (the same and a
mask, an inpainter's) or `tensor` (FP32 [1,3,384,384], a stock server's). Prints {"sent", "answered", "warm_s",
"outputs"}: seconds since 1970, what a request took then, and the names of what was answered.
"""

import asyncio
import json
import sys
import time

import cv2
import httpx
import numpy as np

protocol, host, model, given = sys.argv[1:5]


def encoded(picture, ending):
    file = cv2.imencode(ending, picture)[1]
    return len(file).to_bytes(4, "little") + file.tobytes()


if given == "tensor":
    inputs = [("images", [1, 3, 384, 384], "FP32", bytes(4 * 3 * 384 * 384))]
else:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (640, 640), interpolation=cv2.INTER_CUBIC)
    inputs = [("image", [1], "BYTES", encoded(picture, ".jpg"))]
if given == "hole":
    mask = np.zeros((640, 640), np.uint8)
    mask[300:308] = 255
    inputs.append(("mask", [1], "BYTES", encoded(mask, ".png")))


async def rest() -> None:
    entries = [
        {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
        for name, shape, datatype, raw in inputs
    ]
    head = json.dumps({"inputs": entries}).encode()
    body = head + b"".join(raw for *_, raw in inputs)
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    async with httpx.AsyncClient(timeout=300, trust_env=False) as client:

        async def ask() -> list[str]:
            answer = await client.post(f"http://{host}/v2/models/{model}/infer", content=body, headers=headers)
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"
            length = answer.headers.get("Inference-Header-Content-Length")
            told = json.loads(answer.content[: int(length)] if length else answer.content)
            return [output["name"] for output in told["outputs"]]

        await measured(ask)


async def over_grpc() -> None:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

    request = pb.ModelInferRequest(model_name=model)
    for name, shape, datatype, raw in inputs:
        request.inputs.add(name=name, shape=shape, datatype=datatype)
        request.raw_input_contents.append(raw)
    async with grpc.aio.insecure_channel(f"{host}:80") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelInferResponse.FromString,
        )

        async def ask() -> list[str]:
            return [output.name for output in (await infer(request, timeout=300)).outputs]

        await measured(ask)


async def measured(ask) -> None:
    sent = time.time()
    outputs = await ask()
    answered = time.time()
    warm = []
    for _ in range(5):
        began = time.perf_counter()
        await ask()
        warm.append(time.perf_counter() - began)
    print(json.dumps({"sent": sent, "answered": answered, "warm_s": sorted(warm)[2], "outputs": outputs}))


asyncio.run(rest() if protocol == "rest" else over_grpc())
