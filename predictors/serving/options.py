"""The command line of a predictor's process."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from predictors.serving.deployed import CARD_VARIABLE

REST_PORT = 8080
GRPC_PORT = 8081


class Options(NamedTuple):
    """card: its file, None for that of the environment; port, grpc_port: 0 is any free one, grpc_port None is no gRPC;
    announce: a file or a descriptor; grace_s: how long a stop waits for requests under way, None as long as the card
    allows a request."""

    card: Path | None
    host: str
    port: int
    grpc_port: int | None
    cache: Path | None
    announce: str | None
    grace_s: float | None
    log_level: str
    log_format: str


def read_options(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m predictors.serving",
        description="Serve the model of one card over V2, REST and gRPC.",
        epilog="Exit codes: 0 stopped by a signal, 2 wrong usage, 3 the model cannot be served (the log says why).",
    )
    parser.add_argument(
        "card", type=Path, nargs="?", help=f"the model's card, a YAML file (default: the card in {CARD_VARIABLE})"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s; 0.0.0.0 in a container)"
    )
    parser.add_argument("--port", type=_port, default=REST_PORT, help="V2 REST (%(default)s; 0: any free port)")
    parser.add_argument("--grpc-port", type=_port, default=GRPC_PORT, help="V2 gRPC (%(default)s; 0: any free port)")
    parser.add_argument("--no-grpc", action="store_true", help="REST only; starts a little faster")
    parser.add_argument("--cache", type=Path, help="folder of fetched weights (default: KELP_CACHE, else the user's)")
    parser.add_argument(
        "--announce", metavar="FILE|FD", help='once listening, write {"rest": port, "grpc": port} there as one line'
    )
    parser.add_argument(
        "--grace",
        type=float,
        metavar="SECONDS",
        help="how long a stop waits for requests under way (default: the card's)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default=os.environ.get("KELP_LOG_LEVEL", "info").lower(),
    )
    parser.add_argument(
        "--log-format", choices=("json", "text"), default=os.environ.get("KELP_LOG_FORMAT", "json").lower()
    )
    given = parser.parse_args(arguments)
    if given.card is None and not os.environ.get(CARD_VARIABLE):
        parser.error(f"expected a card: a file, or its JSON in {CARD_VARIABLE}")
    return Options(
        card=given.card,
        host=given.host,
        port=given.port,
        grpc_port=None if given.no_grpc else given.grpc_port,
        cache=given.cache,
        announce=given.announce,
        grace_s=given.grace,
        log_level=given.log_level,
        log_format=given.log_format,
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise ValueError
    return number
