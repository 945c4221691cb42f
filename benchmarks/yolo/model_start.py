"""Where the time of a start goes, the model alone: `model_start FILE` prints `PART time.time()` as each part ends."""

import sys
import time


def ended(part: str) -> None:
    print(part, time.time(), flush=True)


ended("interpreter")

if __name__ == "__main__":
    from pathlib import Path

    from kelp.card import parse_card
    from predictors.yolo import create

    file = Path(sys.argv[1])
    model = create(parse_card("{name: start, runtime: yolo, task: segment, weights: {uri: x}}"), {"model": file})
    ended("kelp")
    if file.suffix == ".pt":
        import predictors.yolo.torch_engine

        ended("torch")
        import ultralytics.nn.tasks  # noqa: F401

        ended("ultralytics")
    else:
        import predictors.yolo.onnx_engine  # noqa: F401

        ended("onnxruntime")
    model.load()
    ended("load")
    items = model.warm_up_items()
    model.postprocess(model.predict(model.preprocess(items)), items)
    ended("warm-up")
