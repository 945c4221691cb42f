"""The demo's story: CVAT, the bridge and `kelp up` start; a job is started; a sleeping model wakes and annotates it."""

from __future__ import annotations

import secrets
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo.reef import DEMO_SEEDS, Scene, render
from demo.show.person import Person
from demo.show.processes import Processes
from demo.show.report import Outcome, report, save_pictures
from demo.show.score import FrameScore, score_frame
from demo.show.stage import (
    MODEL,
    PASSWORD,
    RETENTION_S,
    USER,
    Addresses,
    cold_start_s,
    get_json,
    model_state,
    set_up,
    why_failing,
)
from kelp.card import Card

SIZE = 1920
FLOOR_IOU = 0.6
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled", "skipped"}


def play(out: Path, console: Console, *, stay: bool = False) -> int:
    """Runs the demo, writes page and pictures into `out`; 0 where everything held, else 1."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with ProcessPoolExecutor(max_workers=2) as painters, Processes(out) as processes, ExitStack() as at_the_end:
        # Whoever interrupts the demo need not wait for pictures that nobody will see.
        at_the_end.callback(painters.shutdown, cancel_futures=True)
        scenes = [painters.submit(render, seed, SIZE) for seed in DEMO_SEEDS]
        secret = secrets.token_hex(16)
        with console.status("starting CVAT (stand-in), the bridge and kelp up"):
            card, addresses = set_up(out, processes, secret)
        pictures = {f"quadrat_{seed}.jpg": future for seed, future in zip(DEMO_SEEDS, scenes, strict=True)}
        with console.status("photographing the synthetic reef"):
            shown = {name: future.result() for name, future in pictures.items()}
        outcome = _annotate(card, addresses, secret, shown, out, processes, console)
        doors = [("CVAT (stand-in)", addresses.cvat), ("the bridge's API", f"{addresses.bridge}/docs")]
        report(outcome, out, doors if stay else [], console)
        if stay:
            _wait_for_person(addresses, out, console)
        left = processes.stop()
    faults = [*outcome.faults, *(f"still running after the end: {command}" for command in left)]
    for fault in faults:
        console.print(f"[red]✗ {escape(fault)}")
    if not faults:
        console.print(
            "[green]✓[/] every frame answered, every shape stored, the model asleep again, nothing left behind"
        )
    return 1 if faults else 0


def _annotate(
    card: Card,
    addresses: Addresses,
    secret: str,
    scenes: dict[str, Scene],
    out: Path,
    processes: Processes,
    console: Console,
) -> Outcome:
    with Person(addresses.cvat, USER, PASSWORD) as person:
        project = person.make_project("Reef survey", card)
        person.make_webhook(project, f"{addresses.bridge}/detect-model-webhook?model_name={MODEL}", secret)
        task = person.make_task(project, "Transect 1", {name: _jpeg(scene) for name, scene in scenes.items()})
        (job,) = person.jobs(task)
        asleep = model_state(addresses) == "asleep"
        console.print(f"{len(scenes)} photographs uploaded; [b]{MODEL}[/] is {'asleep' if asleep else 'awake'}")
        started = time.perf_counter()
        person.start_job(int(job["id"]))
        console.print("the job was started in CVAT; its signed webhook is on the way")
        run = _follow(addresses, len(scenes), processes, console)
        seconds = time.perf_counter() - started
        shapes = person.shapes(int(job["id"]))
        labels = person.label_names(project)
    scores = {}
    for frame, (name, scene) in enumerate(scenes.items()):
        mine = [shape for shape in shapes if shape["frame"] == frame]
        scores[name.removesuffix(".jpg")] = score_frame(mine, labels, scene)
        save_pictures(out, name.removesuffix(".jpg"), scene, mine, labels)
    with console.status(f"waiting for the model to fall asleep ({RETENTION_S} s without requests)"):
        processes.wait_until("the model's process stops when idle", lambda: _asleep(addresses, processes), 60)
    faults = _faults(run, scores, len(shapes), asleep)
    return Outcome(scores, len(shapes), seconds, cold_start_s(addresses), faults)


def _faults(run: dict[str, Any], scores: dict[str, FrameScore], stored: int, asleep: bool) -> list[str]:
    faults = [] if asleep else ["the model was not asleep when the job was started"]
    if run["state"] != "completed":
        faults.append(f"the run ended as {run['state']}: {run.get('reason')}")
    if run["frames"]["done"] != len(scores):
        faults.append(f"{run['frames']['done']} of {len(scores)} frames were answered")
    if run["shapes"]["written"] != stored:
        faults.append(f"{run['shapes']['written']} shapes were sent, CVAT holds {stored}")
    mean = sum(score.iou for score in scores.values()) / len(scores)
    if mean < FLOOR_IOU:
        faults.append(f"mean IoU against the truth is {mean:.2f}, under {FLOOR_IOU}")
    return faults


def _follow(addresses: Addresses, frames: int, processes: Processes, console: Console) -> dict[str, Any]:
    """Follows the run that the webhook made until it ends."""
    found: list[dict[str, Any]] = []

    def appeared() -> bool:
        found[:] = get_json(f"{addresses.bridge}/api/v1/runs")["runs"]
        return bool(found)

    processes.wait_until("the webhook becomes a run", appeared, 30)
    run = found[0]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(run["state"], total=frames)

        def ended() -> bool:
            run.update(get_json(f"{addresses.bridge}/api/v1/runs/{run['id']}"))
            progress.update(bar, description=run["state"], completed=run["frames"]["done"])
            if reason := why_failing(addresses):
                raise RuntimeError(f"{MODEL} cannot start: {reason}")
            return run["state"] in FINISHED

        processes.wait_until("the run ends", ended, 120)
    return run


def _asleep(addresses: Addresses, processes: Processes) -> bool:
    return model_state(addresses) == "asleep" and not processes.runs("predictors.serving")


def _wait_for_person(addresses: Addresses, out: Path, console: Console) -> None:
    console.print(f"\nStaying up. CVAT stand-in {addresses.cvat} ({USER} / {PASSWORD})")
    console.print(f"the bridge {addresses.bridge}/docs   V2 {addresses.v2}   logs {out}")
    console.print("Ctrl-C stops everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")


def _jpeg(scene: Scene) -> bytes:
    done, data = cv2.imencode(".jpg", scene.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise RuntimeError("the photograph could not be encoded")
    return data.tobytes()
