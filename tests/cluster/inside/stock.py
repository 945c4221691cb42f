"""A stock kserve server around an onnxruntime session, as kserve's documentation writes a custom predictor."""

import argparse
from pathlib import Path

import kserve
import numpy as np
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse


class Onnx(kserve.Model):
    def __init__(self, name: str, weights: Path) -> None:
        super().__init__(name)
        self._weights = weights

    def load(self) -> bool:
        self._session = onnxruntime.InferenceSession(str(self._weights), providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._session.run(None, {self._input: np.zeros((1, 3, 384, 384), np.float32)})
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:
        given = payload.inputs[0].as_numpy().astype(np.float32)
        found = self._session.run(None, {self._input: given})[0]
        best = InferOutput("best", [1], "FP32", [float(found.max())])
        return InferResponse("1", self.name, [best])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    (weights,) = given.folder.glob("*.onnx")
    model = Onnx(given.model_name, weights)
    model.load()
    kserve.ModelServer(workers=1).start([model])
