"""`python -m demo.training.pages`: writes what the cards' `quality` says into docs/models, one page a card.

`--check` writes nothing, and exits 1 where a page says something else than its card.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kelp.card import load_cards

ROOT = Path(__file__).parent.parent.parent
CARDS = ROOT / "environments" / "models"
PAGES = ROOT / "docs" / "models"
_BEGIN, _END = "<!-- quality -->", "<!-- end of quality -->"


def main(arguments: list[str]) -> int:
    """Renews every page, or names those that are not what their card says."""
    stale = []
    for page, text in renewed():
        if page.read_text(encoding="utf-8") == text:
            continue
        stale.append(page.name)
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'stale' if '--check' in arguments else 'renewed'}: {', '.join(stale)}")
    return 1 if stale and "--check" in arguments else 0


def renewed() -> Iterator[tuple[Path, str]]:
    """Each page with the text that it should have. FileNotFoundError where a card has no page, ValueError where
    that has no place for it."""
    for name, card in load_cards(CARDS).items():
        page = PAGES / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        head, begin, rest = text.partition(_BEGIN)
        _, end, tail = rest.partition(_END)
        if not (begin and end):
            raise ValueError(f"{page}: expected {_BEGIN} and {_END}")
        yield page, f"{head}{begin}\n{quality_table(card.quality)}{end}{tail}"


def quality_table(quality: Mapping[str, Any]) -> str:
    """Markdown of a card's `quality`, with a line for each figure, nested ones too."""
    data = quality.get("data")
    head = f"Measured on: {data}.\n\n" if data else ""
    rows = [f"| {name} | {value} |\n" for name, value in _figures(quality)]
    return f"{head}| what | figure |\n|---|---|\n{''.join(rows)}" if rows else "Nothing is stated.\n"


def _figures(quality: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in quality.items():
        name = f"{before}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _figures(value, f"{name}: ")
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif before or key != "data":
            yield name, str(value).replace("|", r"\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
