"""What one writes without a server: import, load, one run of the network. In Kelp's image, on its volume."""

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

(weights,) = Path(sys.argv[1]).glob("*.onnx")
session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
image = cv2.dnn.blobFromImage(np.full((384, 384, 3), 128, np.uint8), 1 / 255)
session.run(None, {session.get_inputs()[0].name: image})
print(time.time(), flush=True)
