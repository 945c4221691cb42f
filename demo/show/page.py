"""The HTML page of a demo run: what happened, in figures and pictures. It needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FrameView:
    """One frame on the page; the pictures are file names beside it."""

    name: str
    before: str
    after: str
    truth: str
    shapes: int
    colonies: int
    iou: float


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } p.lead { margin-top: 0; opacity: .8 }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; padding: 1rem; background: var(--soft); border-radius: .5rem }
dt { font-size: .8rem; opacity: .75 } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums }
figure { margin: 2rem 0; border-top: 1px solid var(--line); padding-top: 1rem }
figure > div { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem }
img { width: 100%; border-radius: .35rem; display: block } small { opacity: .75 }
ul.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .85rem }
ul.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .4em }
@media (max-width: 50rem) { figure > div { grid-template-columns: 1fr } }
"""


def write_page(
    path: Path,
    *,
    figures: Sequence[tuple[str, str]],
    frames: Sequence[FrameView],
    colors: dict[str, tuple[int, int, int]],
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Writes the page. `figures`: (name, value) of the run; `links`: (text, address), for a demo that stays up."""
    facts = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in figures)
    legend = "".join(
        f'<li><i style="background: rgb{color}"></i>{html.escape(genus)}</li>' for genus, color in colors.items()
    )
    doors = " · ".join(f'<a href="{html.escape(url)}">{html.escape(text)}</a>' for text, url in links)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Kelp: a job annotated</title><style>{_STYLE}</style>
<h1>A job started in CVAT, annotated by a model that was asleep</h1>
<p class="lead">Synthetic reef quadrats; each shape below was read back from CVAT. {doors}</p>
<dl>{facts}</dl>
<ul class="legend">{legend}</ul>
{"".join(map(_figure, frames))}
</html>
""",
        encoding="utf-8",
    )


def _figure(frame: FrameView) -> str:
    name = html.escape(frame.name)
    columns = (("photograph", frame.before), ("in CVAT, by the model", frame.after), ("the truth", frame.truth))
    pictures = "".join(
        f'<a href="{html.escape(file)}"><img loading="lazy" src="{html.escape(file)}" alt="{name}: {what}">'
        f"<small>{what}</small></a>"
        for what, file in columns
    )
    return (
        f"<figure><figcaption><b>{name}</b> — {frame.shapes} shapes for {frame.colonies} colonies, "
        f"IoU {frame.iou:.2f}</figcaption><div>{pictures}</div></figure>"
    )
