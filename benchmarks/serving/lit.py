"""The same predictor in LitServe: base64 in JSON, as its documentation has it; batches by its own batching."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import cv2
import litserve
import numpy as np

from benchmarks.serving.loop import OUTPUTS
from kelp.card import load_card
from kelp.detections.build import build
from kelp.settings.model import effective_settings, settings_of
from predictors.model import Item
from predictors.registry import make_model


class Api(litserve.LitAPI):  # type: ignore[misc]
    card_path: Path

    def setup(self, device: str) -> None:
        card = load_card(self.card_path)
        self.model = make_model(card)
        self.model.load()
        self.settings = effective_settings(settings_of(card.task), card.settings, {})

    def decode_request(self, request: dict[str, str]) -> Any:
        return cv2.imdecode(np.frombuffer(base64.b64decode(request["image"]), np.uint8), cv2.IMREAD_COLOR_RGB)

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, images: Any) -> Any:
        many = images if isinstance(images, list) else [images]
        items = [Item(image, self.settings, frozenset(OUTPUTS)) for image in many]
        results = self.model.postprocess(self.model.predict(self.model.preprocess(items)), items)
        return results if isinstance(images, list) else results[0]

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        found = build([output], self.model.labels, OUTPUTS, [1.0])
        return {name: getattr(found, name).tolist() for name in OUTPUTS if getattr(found, name) is not None}


if __name__ == "__main__":
    card_file, port, batch = sys.argv[1:4]
    api = Api(max_batch_size=int(batch), batch_timeout=0.005 if int(batch) > 1 else 0.0)
    api.card_path = Path(card_file)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=120)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="error")
