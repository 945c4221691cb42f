"""`python -m kelp.local.child MODULE ARGUMENT…`: runs MODULE, and ends with the process that started it.

Standard input is the lifeline: its other end is held by that process alone and never written to, so it is closed by
the kernel when that process is gone, however it went. This works alike on Linux and macOS.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_GRACE_S = 5.0


def _end_with_parent() -> None:
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
