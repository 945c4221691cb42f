"""A custom predictor with an onnxruntime session, as kserve's documentation writes one."""

from __future__ import annotations

import argparse
from typing import Any

import kserve
import numpy as np
import onnxruntime


class Onnx(kserve.Model):  # type: ignore[misc]
    def __init__(self, name: str, weights: str) -> None:
        super().__init__(name)
        self._weights = weights

    def load(self) -> bool:
        self._session = onnxruntime.InferenceSession(self._weights, providers=["CPUExecutionProvider"])
        given = self._session.get_inputs()[0]
        sides = [side if isinstance(side, int) else 640 for side in given.shape[2:]]
        kind = np.float16 if "float16" in given.type else np.float32
        self._session.run(None, {given.name: np.zeros((1, 3, *sides), kind)})
        self.ready = True
        return True

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        return payload


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("weights")
    given = parser.parse_args()
    model = Onnx("onnx", given.weights)
    model.load()
    kserve.ModelServer(http_port=given.http_port, grpc_port=given.grpc_port, workers=1).start([model])
