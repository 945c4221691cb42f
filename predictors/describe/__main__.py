"""`python -m predictors.describe PATH`: what weights say of themselves, as one JSON object; with `error` where they
cannot be read. Nothing of them is run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from kelp.errors import KelpError
from predictors.common.errors import WeightsError
from predictors.describe.describe import describe
from predictors.describe.place import place_of


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m predictors.describe", description=__doc__)
    parser.add_argument("path", type=Path, help="a weights file, a training run's folder, or a packed function's")
    parser.add_argument("--config", type=Path, help="mmsegmentation's config of the checkpoint")
    parser.add_argument("--sam", type=Path, help="segment-anything weights that go with it")
    parser.add_argument("--template", type=Path, help="ideal positions of a pose's points (.npy)")
    given = parser.parse_args(arguments)
    try:
        found = describe(place_of(given.path, config=given.config, sam=given.sam, template=given.template))
    except KelpError as error:
        found = error.to_json()
    except OSError as error:  # a folder that nobody may list, a file that went away
        found = WeightsError(f"{error.filename or given.path}: cannot be read: {error.strerror or error}").to_json()
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201
    return 1 if "error" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
