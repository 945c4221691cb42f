"""What one writes without a server: import, load, predict once, at the size the weights were trained for."""

import sys
import time

import numpy as np
from ultralytics import YOLO

YOLO(sys.argv[1]).predict(np.full((384, 384, 3), 128, np.uint8), verbose=False)
print("all", time.time(), flush=True)
