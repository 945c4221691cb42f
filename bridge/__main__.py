"""`python -m bridge`: the bridge, with its settings from `KELP_…` variables."""

from __future__ import annotations

import logging
import sys

from bridge import log
from bridge.settings import BridgeSettings
from kelp import tracing
from kelp.errors import NotReady
from kelp.settings.process import SettingsError


def main() -> int:
    try:
        settings: BridgeSettings = BridgeSettings.read()
        log.configure(settings.log_level, settings.log_format)
        # Imported late: a wrong setting is told at once.
        from bridge.process import run

        if (problem := tracing.start("kelp-bridge")) is not None:
            log.event("no_tracing", level=logging.WARNING, reason=problem)
        run(settings)
    except SettingsError as error:
        print(f"bridge: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except NotReady as error:
        print(f"bridge: {error}", file=sys.stderr)  # noqa: T201
        return 3
    finally:
        tracing.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
