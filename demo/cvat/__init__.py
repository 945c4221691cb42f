"""A CVAT server to try Kelp against: an in-memory stand-in that behaves as recorded from CVAT 2.42.

`Running` starts it in a thread, `python -m demo.cvat` as a process. It is filled through its HTTP API, as a real one.
"""

from demo.cvat.running import Running
from demo.cvat.settings import NEWER_RETRIES_S, RECORDED_SPEED, Account, Settings, Speed

__all__ = ["NEWER_RETRIES_S", "RECORDED_SPEED", "Account", "Running", "Settings", "Speed"]
