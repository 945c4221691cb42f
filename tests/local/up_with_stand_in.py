"""`kelp up` as a process, with the stand-in in place of predictors."""

from __future__ import annotations

import os

from kelp.local import liveness
from kelp.local.settings import UpSettings
from kelp.local.up import run

if __name__ == "__main__":
    if seconds := os.environ.get("STAND_IN_HEALTH_S"):  # of one question; half a minute is long for a test
        liveness.EVERY_S = liveness.ANSWER_S = float(seconds)
    run(
        UpSettings.read(),
        with_bridge=False,
        arguments=lambda file, announce: ["tests.local.stand_in", str(file.path), "--announce", str(announce)],
    )
