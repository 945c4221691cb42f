"""The HTML page of a demo run: each quadrat's way through the stages, beside what is true. It needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Pictured(Protocol):
    """What the page shows of a quadrat."""

    @property
    def stem(self) -> str: ...

    @property
    def pictures(self) -> Mapping[str, tuple[str, str]]: ...


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } p.lead { margin-top: 0; opacity: .8 }
table { border-collapse: collapse; background: var(--soft); border-radius: .5rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .35rem 1rem; border-bottom: 1px solid var(--line) } th { font-size: .8rem }
figure { margin: 2rem 0; border-top: 1px solid var(--line); padding-top: 1rem }
figure > div { display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem }
img { width: 100%; border-radius: .35rem; display: block } small { opacity: .75 }
ul.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .85rem }
ul.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .4em }
@media (max-width: 60rem) { figure > div { grid-template-columns: repeat(2, 1fr) } }
"""


def write_page(
    path: Path,
    *,
    seconds: float,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    quadrats: Sequence[Pictured],
    colors: Mapping[str, tuple[int, int, int]],
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Writes the page. head, rows: the table of stages; `links`: (text, address), for a demo that stays up."""
    legend = "".join(
        f'<li><i style="background: rgb{color}"></i>{html.escape(genus)}</li>' for genus, color in colors.items()
    )
    doors = " · ".join(f'<a href="{html.escape(url)}">{html.escape(text)}</a>' for text, url in links)
    table = _row("th", head) + "".join(_row("td", row) for row in rows)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Kelp: from raw quadrats to annotated corals</title><style>{_STYLE}</style>
<h1>From raw photographs to annotated corals, in three CVAT projects</h1>
<p class="lead">{len(quadrats)} synthetic quadrats, {seconds:.1f} s from their upload to the last shape. What is shown
was read back from CVAT; every model was asleep before its stage. {doors}</p>
<table>{table}</table>
<ul class="legend">{legend}</ul>
{"".join(map(_figure, quadrats))}
</html>
""",
        encoding="utf-8",
    )


def _row(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{html.escape(text)}</{cell}>" for text in texts) + "</tr>"


def _figure(quadrat: Pictured) -> str:
    name = html.escape(quadrat.stem)
    rows = []
    for which, words in enumerate(("in CVAT", "the truth")):
        for stage, files in quadrat.pictures.items():
            file, what = html.escape(files[which]), html.escape(f"{stage}: {words}")
            rows.append(
                f'<a href="{file}"><img loading="lazy" src="{file}" alt="{name}, {what}"><small>{what}</small></a>'
            )
    return f"<figure><figcaption><b>{name}</b></figcaption><div>{''.join(rows)}</div></figure>"
