"""`python -m predictors.yolo.export CARD --format onnx|engine --out FILE`: the export and its check, told as one JSON
object at the end; with `error` where there is no file."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kelp.card import load_card
from kelp.errors import KelpError
from predictors.yolo.export.run import Wish, export


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m predictors.yolo.export", description=__doc__)
    parser.add_argument("card", type=Path, help="the card of the checkpoint")
    parser.add_argument("--format", choices=("onnx", "engine"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="the file to be made")
    parser.add_argument("--images", type=Path, help="pictures that both files must find the same in")
    parser.add_argument("--image-size", type=int, help="side in pixels that the file is made for; default: trained at")
    parser.add_argument("--half", action="store_true", help="of an engine: compute in half precision")
    given = parser.parse_args(arguments)
    wish = Wish(given.format, given.out, given.images, given.image_size, given.half)
    try:
        # ultralytics and torch talk while they work: that is for people, the answer is for the caller.
        with contextlib.redirect_stdout(sys.stderr):
            told: dict[str, Any] = export(load_card(given.card), wish)
    except KelpError as error:
        told = error.to_json()
    except KeyboardInterrupt:
        return 130
    print(json.dumps(told, ensure_ascii=False))  # noqa: T201
    return 1 if "error" in told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
