"""What the bridge says on stderr, for whoever reads it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest


def said(style: str) -> str:
    script = (
        "from bridge import log\n"
        f"log.configure('error', {style!r})\n"
        "log.event('quiet')\n"
        "log.announce('listening', listener='main', port=8000)"
    )
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stderr


@pytest.mark.parametrize("style", ["json", "text"])
def test_where_it_listens_is_said_at_every_level_with_time_and_level_like_all_else(style: str) -> None:
    (line,) = said(style).splitlines()
    if style == "text":
        assert re.fullmatch(r"\d\d:\d\d:\d\d info +listening listener=main port=8000", line)
        return
    told = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {"level": "info", "event": "listening", "listener": "main", "port": 8000}
