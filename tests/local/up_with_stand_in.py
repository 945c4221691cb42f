"""`kelp up` as a process, with the stand-in in place of predictors."""

from __future__ import annotations

from kelp.local.settings import UpSettings
from kelp.local.up import run

if __name__ == "__main__":
    run(
        UpSettings.read(),
        with_bridge=False,
        arguments=lambda file, announce: ["tests.local.stand_in", str(file.path), "--announce", str(announce)],
    )
