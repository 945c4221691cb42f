"""Asks one model for what it finds in a small picture, at its own address; its start is waited for."""

import os

import numpy as np

from kelp.client import Client, ClientConfig, GrpcClient

model, namespace = os.environ["MODEL"], os.environ["NAMESPACE"]
host = f"{model}-predictor.{namespace}.svc.cluster.local"
grpc = os.environ["PROTOCOL"] == "grpc"
config = ClientConfig(
    f"{host}:80" if grpc else f"http://{host}", cold_start_s=float(os.environ["TIMEOUT_S"]), proxies=False
)
picture = np.random.default_rng(1).integers(0, 255, (256, 256, 3), np.uint8)
client = GrpcClient(config) if grpc else Client(config)
found = client.detect(model, [picture])
print(f"{model} answered: {len(found.score)} detections in {found.image_size.tolist()}")
