"""What one writes without a server: import, load, one run of the network. In Kelp's image, on its volume.

Prints when its process began and when it had predicted, in seconds since 1970.
"""

import json
import os
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
ended = time.time()
ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
boot = time.time() - float(Path("/proc/uptime").read_text().split()[0])
print(json.dumps({"began": boot + ticks / os.sysconf("SC_CLK_TCK"), "ended": ended}), flush=True)
