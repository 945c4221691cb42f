"""Where the demo plays: CVAT, the bridge and `kelp up` on ports of their own, and what they say."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.show.processes import Processes, answers, free_ports
from kelp.card import Card, load_card

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "environments" / "models"
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


def set_up(out: Path, processes: Processes, secret: str) -> tuple[Card, Addresses]:
    """Starts everything and waits until it answers; logs and data go into `out`."""
    cvat, bridge, health, v2, v2_grpc = free_ports(5)
    here = "http://127.0.0.1"
    addresses = Addresses(f"{here}:{cvat}", f"{here}:{bridge}", f"{here}:{health}", f"{here}:{v2}")
    card = _patched_card(out)
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
    return card, addresses


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


def model_state(addresses: Addresses) -> str:
    """The model's state: asleep, starting, ready or failing."""
    return str(_card(addresses)["state"])


def why_failing(addresses: Addresses) -> str | None:
    """Why the model cannot start; None while it can."""
    card = _card(addresses)
    return str(card.get("reason") or "see kelp-up.log") if card["state"] == "failing" else None


def _card(addresses: Addresses) -> dict[str, Any]:
    card: dict[str, Any] = get_json(f"{addresses.v2}/v2/models/{MODEL}")["parameters"]["card"]
    return card


def cold_start_s(addresses: Addresses) -> float:
    """Seconds from the first request to the model's readiness, as `kelp up` measured them."""
    name = f'kelp_cold_start_seconds_sum{{model="{MODEL}"}} '
    text = httpx.get(f"{addresses.v2}/metrics", timeout=10).raise_for_status().text
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def get_json(url: str) -> dict[str, Any]:
    """The JSON object at `url`; httpx's errors."""
    answer: dict[str, Any] = httpx.get(url, timeout=10).raise_for_status().json()
    return answer
