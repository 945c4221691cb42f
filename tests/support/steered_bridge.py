"""`python -m tests.support.steered_bridge`: the bridge with less patience, held where a test says so.

`KELP_STEER` is JSON: `hold` (the path of a file, see `Hold`), `patience` (fields of `bridge.runs.services.Patience`),
`images_a_request`, `get_timeout_s` and `change_timeout_s` (of requests to CVAT), `version` (of the workflow). Nothing
else differs from `python -m bridge`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bridge import log
from bridge.settings import BridgeSettings

# wish → the module and the name of the constant.
CONSTANTS = {
    "images_a_request": ("bridge.detect.stream", "IMAGES_A_REQUEST"),
    "get_timeout_s": ("bridge.cvat.transport", "TIMEOUT_S"),
    "change_timeout_s": ("bridge.cvat.client", "CHANGE_TIMEOUT_S"),
    "version": ("bridge.runs.workflow", "VERSION"),
}


class Hold:
    """Stops this process dead at a boundary.

    The file is JSON: `at` (which one), `fields` (that it must have), `nth` (passing since the file was written). Once
    there, the process says `held`, and goes on when the file is gone.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tell = log.boundary
        self._wanted: dict[str, Any] = {}
        self._passed = 0

    def __call__(self, place: str, **fields: Any) -> None:
        self._tell(place, **fields)
        wanted = self._read()
        if wanted != self._wanted:
            self._wanted, self._passed = wanted, 0
        if wanted.get("at") != place or not wanted["fields"].items() <= fields.items():
            return
        self._passed += 1
        if self._passed == wanted["nth"]:
            print(json.dumps({"event": "held", "at": place, **fields}), file=sys.stderr, flush=True)
            while self._read() == wanted:
                time.sleep(0.01)

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        return found


def main() -> None:
    wishes = json.loads(os.environ["KELP_STEER"])
    log.boundary = Hold(Path(wishes["hold"]))  # before anything else takes it by name
    settings = BridgeSettings.read()
    log.configure(settings.log_level, settings.log_format)
    for wish, (module, name) in CONSTANTS.items():
        if wish in wishes:
            owner = importlib.import_module(module)
            getattr(owner, name)  # else it has moved
            setattr(owner, name, wishes[wish])
    from bridge.process import run
    from bridge.runs.services import Patience

    run(settings, Patience(**wishes.get("patience", {})))


if __name__ == "__main__":
    main()
