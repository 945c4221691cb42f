"""What a check found out, a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kelp.errors import Forbidden, KelpError, NotReady, TooLate, Unauthorized

State = Literal["ok", "fails", "unknown"]
Cause = Literal["wrong", "unreachable", "denied"]


@dataclass(frozen=True, slots=True)
class Finding:
    """link: what was tried; text: what came of it; advice: what to do about it, for one that fails. cause: which exit
    code stands for it."""

    link: str
    state: State
    text: str
    advice: str = ""
    cause: Cause = "wrong"

    def line(self) -> str:
        told = f"{self.link}: {self.text}"
        return f"{told}. {self.advice[:1].upper()}{self.advice[1:]}" if self.advice else told

    def to_json(self) -> dict[str, Any]:
        return {"link": self.link, "state": self.state, "text": self.text, "advice": self.advice}


def ok(link: str, text: str) -> Finding:
    return Finding(link, "ok", text)


def fails(link: str, text: str, advice: str, cause: Cause = "wrong") -> Finding:
    return Finding(link, "fails", " ".join(text.split()).rstrip("."), advice, cause)


def unknown(link: str, text: str, advice: str = "") -> Finding:
    return Finding(link, "unknown", " ".join(text.split()).rstrip("."), advice)


def cause_of(error: KelpError) -> Cause:
    if isinstance(error, Unauthorized | Forbidden):
        return "denied"
    return "unreachable" if isinstance(error, NotReady | TooLate) else "wrong"
