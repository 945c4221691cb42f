"""Where the demo plays: CVAT, the bridge and `kelp up` on ports of their own, and what they say."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.show.processes import Processes, answers, free_ports
from kelp.card import Card, load_card

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "environments" / "models"
WEIGHTS = ROOT / "demo" / "weights"
MODEL = "pth-yolo-coralsegv4"
USER, PASSWORD = "kelp", "kelp-demo-password"
RETENTION_S = 4


@dataclass(frozen=True)
class Addresses:
    """Where everything listens."""

    cvat: str
    bridge: str
    health: str
    v2: str


def set_up(
    out: Path, processes: Processes, secret: str, models: Sequence[str] = (MODEL,), engine: str = "onnx"
) -> tuple[dict[str, Card], Addresses]:
    """Starts everything and waits until it answers; the cards of `models` by name. Logs and data go into `out`."""
    cvat, bridge, health, v2, v2_grpc = free_ports(5)
    here = "http://127.0.0.1"
    addresses = Addresses(f"{here}:{cvat}", f"{here}:{bridge}", f"{here}:{health}", f"{here}:{v2}")
    cards = patched_cards(out / "models", models, engine)
    stand_in = [sys.executable, "-m", "demo.cvat", "--port", str(cvat), "--user", f"{USER}:{PASSWORD}"]
    processes.start("cvat", stand_in, {"PYTHONPATH": str(ROOT)})
    variables = {
        **client_variables(out, addresses, secret),
        "KELP_CACHE": str(out / "cache"),
        "KELP_V2_PORT": str(v2),
        "KELP_V2_GRPC_PORT": str(v2_grpc),
        "KELP_PORT": str(bridge),
        "KELP_METRICS_PORT": str(health),
        "KELP_DATABASE_URL": f"sqlite:///{out / 'bridge.sqlite'}",
    }
    processes.start("kelp-up", [sys.executable, "-m", "kelp.cli", "up"], variables)
    processes.wait_until("CVAT answers", lambda: answers(f"{addresses.cvat}/api/server/about"))
    processes.wait_until("the bridge is ready", lambda: answers(f"{addresses.health}/health/ready"))
    processes.wait_until("kelp up answers", lambda: answers(f"{addresses.v2}/v2/health/live"))
    return cards, addresses


def client_variables(out: Path, addresses: Addresses, secret: str) -> dict[str, str]:
    """What the command line has to know of this stage, as its environment says it."""
    return {
        "KELP_MODELS": str(out / "models"),
        "KELP_V2_URL": addresses.v2,
        "KELP_BRIDGE_URL": addresses.bridge,
        "KELP_PUBLIC_URL": addresses.bridge,
        "KELP_CVAT_URL": addresses.cvat,
        "KELP_CVAT_USER": USER,
        "KELP_CVAT_PASSWORD": PASSWORD,
        "KELP_WEBHOOK_SECRETS": secret,
    }


def patched_cards(folder: Path, models: Sequence[str], engine: str) -> dict[str, Card]:
    """The shipped cards, written into `folder` with a short retention, so that one can watch them fall asleep.

    engine: `onnx` as they are shipped, or `pt` for the weights that stand beside those as training left them.
    """
    folder.mkdir(parents=True)
    cards = {}
    for name in models:
        data = yaml.safe_load((CARDS / f"{name}.yaml").read_text(encoding="utf-8"))
        weights = data["weights"]
        weights["uri"] = str((CARDS / weights["uri"]).resolve())
        if engine == "pt":
            _original(weights)
        data["scale"] = {**data.get("scale", {}), "retention": RETENTION_S}
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
        cards[name] = load_card(path)
    return cards


def _original(weights: dict[str, Any]) -> None:
    """The `.pt` beside each `.onnx`, with its own sha256."""
    lines = (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {file: sha256 for sha256, file in (line.split() for line in lines)}
    for place, key in [(weights, "uri"), *((file, "file") for file in weights.get("files", {}).values())]:
        if place[key].endswith(".onnx"):
            place[key] = place[key].removesuffix(".onnx") + ".pt"
            place["sha256"] = sums[Path(place[key]).name]


def model_state(addresses: Addresses, model: str = MODEL) -> str:
    """The model's state: asleep, starting, ready or failing."""
    return str(_card(addresses, model)["state"])


def why_failing(addresses: Addresses, model: str = MODEL) -> str | None:
    """Why the model cannot start; None while it can."""
    card = _card(addresses, model)
    return str(card.get("reason") or "see kelp-up.log") if card["state"] == "failing" else None


def _card(addresses: Addresses, model: str) -> dict[str, Any]:
    card: dict[str, Any] = get_json(f"{addresses.v2}/v2/models/{model}")["parameters"]["card"]
    return card


def cold_start_s(addresses: Addresses, model: str = MODEL) -> float:
    """Seconds from the first request to the model's readiness, as `kelp up` measured them: of all its starts."""
    name = f'kelp_cold_start_seconds_sum{{model="{model}"}} '
    text = httpx.get(f"{addresses.v2}/metrics", timeout=10).raise_for_status().text
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def get_json(url: str) -> dict[str, Any]:
    """The JSON object at `url`; httpx's errors."""
    answer: dict[str, Any] = httpx.get(url, timeout=10).raise_for_status().json()
    return answer
