"""The demo's story: CVAT, the bridge and `kelp up` start; a job is started; a sleeping model wakes and annotates it."""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.reef import DEMO_SEEDS, Scene, render
from demo.show.page import FrameView, write_page
from demo.show.person import Person
from demo.show.pictures import draw_shapes, draw_truth, genus_colors, save_jpeg
from demo.show.processes import Processes, answers, free_ports
from demo.show.score import FrameScore, score_frame
from kelp.card import Card, load_card

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "environments" / "models"
MODEL = "pth-yolo-coralsegv4"
USER, PASSWORD = "kelp", "kelp-demo-password"
RETENTION_S = 4
SIZE = 1920
FLOOR_IOU = 0.6
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled", "skipped"}


@dataclass(frozen=True)
class Outcome:
    """What the demo found; `faults` empty means that all is well."""

    run: dict[str, Any]
    scores: list[FrameScore]
    stored: int
    seconds: float
    faults: list[str]


@dataclass(frozen=True)
class Addresses:
    """Where everything listens."""

    cvat: str
    bridge: str
    health: str
    v2: str


def play(out: Path, console: Console, *, stay: bool = False) -> int:
    """Runs the demo, writes page and pictures into `out`; 0 where everything held, else 1."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with ProcessPoolExecutor(max_workers=2) as painters, Processes(out) as processes:
        scenes = [painters.submit(render, seed, SIZE) for seed in DEMO_SEEDS]
        card, addresses, secret = _start(out, processes, console)
        pictures = {f"quadrat_{seed}.jpg": future for seed, future in zip(DEMO_SEEDS, scenes, strict=True)}
        with console.status("photographing the synthetic reef"):
            shown = {name: future.result() for name, future in pictures.items()}
        outcome = _annotate(card, addresses, secret, shown, out, processes, console)
        _report(outcome, out, addresses if stay else None, console)
        if stay:
            _wait_for_person(addresses, out, console)
        left = processes.stop()
    faults = [*outcome.faults, *(f"still running after the end: {command}" for command in left)]
    for fault in faults:
        console.print(f"[red]✗ {fault}")
    if not faults:
        console.print(
            "[green]✓[/] every frame answered, every shape stored, the model asleep again, nothing left behind"
        )
    return 1 if faults else 0


def _start(out: Path, processes: Processes, console: Console) -> tuple[Card, Addresses, str]:
    cvat, bridge, health, v2, v2_grpc = free_ports(5)
    here = "http://127.0.0.1"
    addresses = Addresses(f"{here}:{cvat}", f"{here}:{bridge}", f"{here}:{health}", f"{here}:{v2}")
    card = _patched_card(out)
    secret = secrets.token_hex(16)
    with console.status("starting CVAT (stand-in), the bridge and kelp up"):
        stand_in = [sys.executable, "-m", "demo.cvat", "--port", str(cvat), "--user", f"{USER}:{PASSWORD}"]
        processes.start("cvat", stand_in, {"PYTHONPATH": str(ROOT)})
        variables = {
            "KELP_MODELS": str(out / "models"),
            "KELP_CACHE": str(out / "cache"),
            "KELP_V2_PORT": str(v2),
            "KELP_V2_GRPC_PORT": str(v2_grpc),
            "KELP_V2_URL": addresses.v2,
            "KELP_PORT": str(bridge),
            "KELP_METRICS_PORT": str(health),
            "KELP_PUBLIC_URL": addresses.bridge,
            "KELP_CVAT_URL": addresses.cvat,
            "KELP_CVAT_USER": USER,
            "KELP_CVAT_PASSWORD": PASSWORD,
            "KELP_WEBHOOK_SECRETS": secret,
            "KELP_DATABASE_URL": f"sqlite:///{out / 'bridge.sqlite'}",
        }
        processes.start("kelp-up", [sys.executable, "-m", "kelp.cli", "up"], variables)
        processes.wait_until("CVAT answers", lambda: answers(f"{addresses.cvat}/api/server/about"))
        processes.wait_until("the bridge is ready", lambda: answers(f"{addresses.health}/health/ready"))
        processes.wait_until("kelp up answers", lambda: answers(f"{addresses.v2}/v2/health/live"))
    return card, addresses, secret


def _patched_card(out: Path) -> Card:
    """The shipped card with a short retention, so that the model's falling asleep can be watched."""
    models = out / "models"
    models.mkdir()
    data = yaml.safe_load((CARDS / f"{MODEL}.yaml").read_text(encoding="utf-8"))
    data["weights"]["uri"] = str((CARDS / data["weights"]["uri"]).resolve())
    data["scale"] = {**data.get("scale", {}), "retention": RETENTION_S}
    path = models / f"{MODEL}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return load_card(path)


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
        asleep = _state(addresses) == "asleep"
        console.print(f"{len(scenes)} photographs uploaded; [b]{MODEL}[/] is {'asleep' if asleep else 'awake'}")
        started = time.perf_counter()
        person.start_job(int(job["id"]))
        console.print("the job was started in CVAT; its signed webhook is on the way")
        run = _follow(addresses, len(scenes), processes, console)
        seconds = time.perf_counter() - started
        shapes = person.shapes(int(job["id"]))
        labels = person.label_names(project)
    scores = []
    for frame, (name, scene) in enumerate(scenes.items()):
        mine = [shape for shape in shapes if shape["frame"] == frame]
        scores.append(score_frame(mine, labels, scene))
        stem = name.removesuffix(".jpg")
        save_jpeg(out / f"{stem}_before.jpg", scene.image, width=1100)
        save_jpeg(out / f"{stem}_after.jpg", draw_shapes(scene.image, mine, labels), width=1100)
        truth = draw_truth(scene.image, [(scene.mask(i), genus) for i, genus in enumerate(scene.genera)])
        save_jpeg(out / f"{stem}_truth.jpg", truth, width=1100)
    with console.status(f"waiting for the model to fall asleep ({RETENTION_S} s without requests)"):
        processes.wait_until("the model's process stops when idle", lambda: _state(addresses) == "asleep", 60)
    faults = _faults(run, scores, len(shapes), asleep)
    return Outcome(run, scores, len(shapes), seconds, faults)


def _faults(run: dict[str, Any], scores: list[FrameScore], stored: int, asleep: bool) -> list[str]:
    faults = [] if asleep else ["the model was not asleep when the job was started"]
    if run["state"] != "completed":
        faults.append(f"the run ended as {run['state']}: {run.get('reason')}")
    if run["frames"]["done"] != len(scores):
        faults.append(f"{run['frames']['done']} of {len(scores)} frames were answered")
    if run["shapes"]["written"] != stored:
        faults.append(f"{run['shapes']['written']} shapes were sent, CVAT holds {stored}")
    mean = sum(score.iou for score in scores) / len(scores)
    if mean < FLOOR_IOU:
        faults.append(f"mean IoU against the truth is {mean:.2f}, under {FLOOR_IOU}")
    return faults


def _follow(addresses: Addresses, frames: int, processes: Processes, console: Console) -> dict[str, Any]:
    """Follows the run that the webhook made until it ends."""
    found: list[dict[str, Any]] = []

    def appeared() -> bool:
        found[:] = _get(f"{addresses.bridge}/api/v1/runs")["runs"]
        return bool(found)

    processes.wait_until("the webhook becomes a run", appeared, 30)
    run = found[0]
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(run["state"], total=frames)

        def ended() -> bool:
            run.update(_get(f"{addresses.bridge}/api/v1/runs/{run['id']}"))
            progress.update(bar, description=run["state"], completed=run["frames"]["done"])
            return run["state"] in FINISHED

        processes.wait_until("the run ends", ended, 120)
    return run


def _report(outcome: Outcome, out: Path, addresses: Addresses | None, console: Console) -> None:
    table = Table(title="What the model wrote into CVAT, against the truth")
    for title in ("frame", "shapes", "colonies", "IoU"):
        table.add_column(title, justify="left" if title == "frame" else "right")
    views = []
    for seed, score in zip(DEMO_SEEDS, outcome.scores, strict=True):
        stem = f"quadrat_{seed}"
        table.add_row(stem, str(score.shapes), str(score.colonies), f"{score.iou:.2f}")
        before, after, truth = (f"{stem}_{what}.jpg" for what in ("before", "after", "truth"))
        views.append(FrameView(stem, before, after, truth, score.shapes, score.colonies, score.iou))
    mean = sum(score.iou for score in outcome.scores) / len(outcome.scores)
    table.add_section()
    colonies = sum(score.colonies for score in outcome.scores)
    table.add_row("all", str(outcome.stored), str(colonies), f"{mean:.2f}")
    console.print(table)
    cold = outcome.run.get("cold_start_seconds")
    each = (outcome.seconds - (cold or 0.0)) / len(outcome.scores)
    figures = [
        ("model", MODEL),
        ("frames", str(len(outcome.scores))),
        ("shapes in CVAT", str(outcome.stored)),
        ("mean IoU", f"{mean:.2f}"),
        ("cold start", f"{cold:.1f} s" if cold is not None else "not measured"),
        ("a frame", f"{each * 1000:.0f} ms"),
        ("state change → shapes", f"{outcome.seconds:.1f} s"),
    ]
    console.print("   ".join(f"{name} [b]{value}[/]" for name, value in figures[4:]))
    links = [("CVAT (stand-in)", addresses.cvat), ("the bridge's API", f"{addresses.bridge}/docs")] if addresses else []
    write_page(out / "index.html", figures=figures, frames=views, colors=genus_colors(), links=links)
    console.print(f"pictures: {(out / 'index.html').as_uri()}")


def _wait_for_person(addresses: Addresses, out: Path, console: Console) -> None:
    console.print(f"\nStaying up. CVAT stand-in {addresses.cvat} ({USER} / {PASSWORD})")
    console.print(f"the bridge {addresses.bridge}/docs   V2 {addresses.v2}   logs {out}")
    console.print("Ctrl-C stops everything.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")


def _state(addresses: Addresses) -> str:
    parameters = _get(f"{addresses.v2}/v2/models/{MODEL}")["parameters"]
    return str(parameters["card"]["state"])


def _get(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(url, timeout=10).raise_for_status().json()
    return answer


def _jpeg(scene: Scene) -> bytes:
    done, data = cv2.imencode(".jpg", scene.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise RuntimeError("the photograph could not be encoded")
    return data.tobytes()
