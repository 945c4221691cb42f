"""A model that is awake: latency one after another, throughput by several at once, from inside the cluster.

python - PROTOCOL ADDRESS NAME MODEL COUNT WORKERS SECONDS: ADDRESS is HOST:PORT to connect to, NAME the host to ask for
there. Prints {"latencies_s": […], "per_second", "p99_s"}.
"""

import asyncio
import json
import sys
import time

import cv2
import httpx
import numpy as np

protocol, address, authority, model = sys.argv[1:5]
count, workers, seconds = int(sys.argv[5]), int(sys.argv[6]), float(sys.argv[7])
noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
done, jpeg = cv2.imencode(".jpg", cv2.resize(noise, (640, 640), interpolation=cv2.INTER_CUBIC))
raw = len(jpeg).to_bytes(4, "little") + jpeg.tobytes()


async def rest() -> None:
    entry = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ("box", "score", "label_id")]
    head = json.dumps({"inputs": [entry], "outputs": outputs}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
        "Host": authority,
    }
    url = f"http://{address}/v2/models/{model}/infer"
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:

        async def ask() -> None:
            answer = await client.post(url, content=head + raw, headers=headers)
            assert answer.status_code == 200, f"{answer.status_code} {answer.text[:500]}"

        await measured(ask)


async def over_grpc() -> None:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", shape=[1], datatype="BYTES")
    for name in ("box", "score", "label_id"):
        request.outputs.add(name=name)
    request.raw_input_contents.append(raw)
    options = [("grpc.default_authority", authority)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            pb.ModelInferRequest.SerializeToString,
            pb.ModelInferResponse.FromString,
        )
        await measured(lambda: infer(request, timeout=60))


async def measured(ask) -> None:
    for _ in range(5):
        await ask()
    latencies = [await timed(ask) for _ in range(count)]
    many: list[float] = []
    ends = time.monotonic() + seconds

    async def worker() -> None:
        while time.monotonic() < ends:
            many.append(await timed(ask))

    began = time.monotonic()
    await asyncio.gather(*(worker() for _ in range(workers)))
    rate = len(many) / (time.monotonic() - began)
    p99 = sorted(many)[int(0.99 * len(many))] if many else 0.0
    print(json.dumps({"latencies_s": latencies, "per_second": rate, "p99_s": p99}))


async def timed(ask) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


asyncio.run(rest() if protocol == "rest" else over_grpc())
