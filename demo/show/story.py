"""The demo's story: photographs come into CVAT, and webhooks bring them on, stage by stage, to annotated corals."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

from demo.reef import DEMO_SEEDS, render
from demo.show.chain import CORNERS, GRID, LINE_WIDTH, REMOVAL, Chain, Quadrat
from demo.show.painters import painters
from demo.show.person import Person
from demo.show.pictures import Colors, jpeg_of, label_colors
from demo.show.processes import Processes
from demo.show.report import Outcome, report
from demo.show.runs import Runs
from demo.show.stage import (
    MODEL,
    PASSWORD,
    RETENTION_S,
    ROOT,
    USER,
    Addresses,
    client_variables,
    cold_start_s,
    model_state,
    set_up,
)

SIZE = 1920
QUADRATS = 4
PIPELINE = ROOT / "environments" / "pipelines" / "quadratseg.yaml"
TORCH_MODEL = "pth-mmseg-coralscopsegformer"
FLOOR_F1 = {MODEL: 0.5, TORCH_MODEL: 0.35}


def play(out: Path, console: Console, *, stay: bool = False, torch: bool = False) -> int:
    """Runs the demo, writes page and pictures into `out`; 0 where everything held, else 1.

    torch: on the weights as training left them, with DINOv2 and CoralSCoP as the last stage.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    last = TORCH_MODEL if torch else MODEL
    models = (CORNERS, GRID, REMOVAL, last)
    with painters(2) as pool, Processes(out) as processes, ExitStack() as at_the_end:
        # Whoever interrupts the demo need not wait for pictures that nobody will see.
        at_the_end.callback(pool.shutdown, cancel_futures=True)
        scenes = [pool.submit(render, seed, SIZE) for seed in DEMO_SEEDS[:QUADRATS]]
        secret = secrets.token_hex(16)
        with console.status("starting CVAT (stand-in), the bridge and kelp up"):
            cards, addresses = set_up(out, processes, secret, models, "pt" if torch else "onnx")
        with console.status("kelp pipeline apply: three projects and their webhooks"):
            projects = _apply_pipeline(out, addresses, secret, last)
        with console.status("photographing the synthetic reef"):
            quadrats = [Quadrat(f"quadrat_{each.result().seed}", each.result()) for each in scenes]
        colors = label_colors(cards[last])
        outcome = _annotate(out, addresses, processes, console, projects, quadrats, models, colors)
        doors = [("CVAT (stand-in)", addresses.cvat), ("the bridge's API", f"{addresses.bridge}/docs")]
        report(outcome, colors, out, doors if stay else [], console)
        if stay:
            _wait_for_person(addresses, out, console)
        left = processes.stop()
    faults = [*outcome.faults, *(f"still running after the end: {command}" for command in left)]
    for fault in faults:
        console.print(f"[red]✗ {escape(fault)}")
    if not faults:
        console.print("[green]✓[/] every stage within its floor, the models asleep again, nothing left behind")
    return 1 if faults else 0


def _apply_pipeline(out: Path, addresses: Addresses, secret: str, last: str) -> list[str]:
    """Sets CVAT up as the shipped pipeline says; the names of its projects, first stage first."""
    pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    webhooks = {
        name: webhook for project in pipeline["projects"].values() for name, webhook in project["webhooks"].items()
    }
    webhooks["remove-grid"]["grid_line_width"] = LINE_WIDTH
    webhooks["corals"]["detect"] = last
    file = out / "pipeline.yaml"
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False), encoding="utf-8")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KELP_")}
    applied = subprocess.run(
        [sys.executable, "-m", "kelp.cli", "pipeline", "apply", str(file), "--yes"],
        env={**inherited, **client_variables(out, addresses, secret)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if applied.returncode:
        raise RuntimeError(f"kelp pipeline apply ended with {applied.returncode}:\n{applied.stdout}{applied.stderr}")
    return [project["name"] for project in pipeline["projects"].values()]


def _annotate(
    out: Path,
    addresses: Addresses,
    processes: Processes,
    console: Console,
    names: Sequence[str],
    quadrats: Sequence[Quadrat],
    models: Sequence[str],
    colors: Colors,
) -> Outcome:
    with Person(addresses.cvat, USER, PASSWORD) as person:
        ids = person.projects()
        first, second, third = (ids[name] for name in names)
        awake = [model for model in models if model_state(addresses, model) != "asleep"]
        chain = Chain(person, Runs(addresses, processes), (first, second, third), quadrats, out, console)
        started = time.perf_counter()
        task = person.make_task(first, "Transect 1", {f"{q.stem}.jpg": jpeg_of(q.scene.image) for q in quadrats})
        console.print(f"{len(quadrats)} photographs uploaded; their job's webhook is on the way")
        with console.status("corners"):
            corners = chain.corners(task)
        with console.status("accepted; cropping"):
            squares, truths = chain.crop(task, corners)
        with console.status("grid points"):
            grids = chain.grid(squares, truths)
        with console.status("accepted; removing the grid"):
            cleaned = chain.removal(squares, truths, grids)
        with console.status("corals"):
            chain.corals(cleaned, truths, models[-1], colors, FLOOR_F1[models[-1]])
        seconds = time.perf_counter() - started
    with console.status(f"waiting for the models to fall asleep ({RETENTION_S} s without requests)"):
        processes.wait_until("the models' processes stop when idle", lambda: _asleep(addresses, models, processes), 60)
    faults = [f"{model} was not asleep at the start" for model in awake]
    faults += [f"{s.name}: {s.error}, worse than {s.floor}" for s in chain.stages if not s.good]
    cold = {model: cold_start_s(addresses, model) for model in models}
    return Outcome(chain.stages, quadrats, cold, seconds, faults)


def _asleep(addresses: Addresses, models: Sequence[str], processes: Processes) -> bool:
    states = {model_state(addresses, model) for model in models}
    return states == {"asleep"} and not processes.runs("predictors.serving")


def _wait_for_person(addresses: Addresses, out: Path, console: Console) -> None:
    console.print(f"\nStaying up. CVAT stand-in {addresses.cvat} ({USER} / {PASSWORD})")
    console.print(f"the bridge {addresses.bridge}/docs   V2 {addresses.v2}   logs {out}")
    console.print("Ctrl-C stops everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")
