"""One request to a model that is asleep, from inside the cluster, and some to it awake.

python - PROTOCOL HOST MODEL INPUT: PROTOCOL is rest or grpc; INPUT is `image` (a JPEG, Kelp's) or `tensor` (FP32
[1,3,384,384], a stock server's). Prints {"sent", "answered", "warm_s"}: seconds since 1970, and what a request took
then.
"""

import asyncio
import json
import sys
import time

import cv2
import httpx
import numpy as np

protocol, host, model, given = sys.argv[1:5]
if given == "image":
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    done, jpeg = cv2.imencode(".jpg", cv2.resize(noise, (640, 640), interpolation=cv2.INTER_CUBIC))
    name, shape, datatype, raw = "image", [1], "BYTES", len(jpeg).to_bytes(4, "little") + jpeg.tobytes()
else:
    name, shape, datatype, raw = "images", [1, 3, 384, 384], "FP32", bytes(4 * 3 * 384 * 384)


async def rest() -> None:
    entry = {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [entry]}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    async with httpx.AsyncClient(timeout=300, trust_env=False) as client:

        async def ask() -> None:
            answer = await client.post(f"http://{host}/v2/models/{model}/infer", content=head + raw, headers=headers)
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"

        await measured(ask)


async def over_grpc() -> None:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name=name, shape=shape, datatype=datatype)
    request.raw_input_contents.append(raw)
    async with grpc.aio.insecure_channel(f"{host}:80") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelInferResponse.FromString,
        )
        await measured(lambda: infer(request, timeout=300))


async def measured(ask) -> None:
    sent = time.time()
    await ask()
    answered = time.time()
    warm = []
    for _ in range(5):
        began = time.perf_counter()
        await ask()
        warm.append(time.perf_counter() - began)
    print(json.dumps({"sent": sent, "answered": answered, "warm_s": sorted(warm)[2]}))


asyncio.run(rest() if protocol == "rest" else over_grpc())
