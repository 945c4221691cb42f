"""A custom predictor as kserve's documentation writes one: the input as a numpy array, a small answer."""

from __future__ import annotations

from typing import Any

import kserve
import numpy as np


class Nothing(kserve.Model):  # type: ignore[misc]
    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> kserve.InferResponse:
        images = payload.inputs[0].as_numpy()
        size = np.array([images.shape[1:3]], np.int32)
        output = kserve.InferOutput("image_size", list(size.shape), "INT32")
        output.set_data_from_numpy(size, binary_data=False)
        return kserve.InferResponse(response_id="", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    model = Nothing("nothing")
    model.load()
    kserve.ModelServer(workers=1).start([model])
