"""What one writes without a server: import, load, one run of the network; nothing read out of its answer."""

import sys
import time

import cv2
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = cv2.dnn.blobFromImage(np.full((384, 384, 3), 128, np.uint8), 1 / 255)
session.run(None, {session.get_inputs()[0].name: image})
print("all", time.time(), flush=True)
