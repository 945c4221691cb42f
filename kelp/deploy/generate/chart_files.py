"""The chart's generated files: the runtimes' shared part, the card's schema, the README."""

from __future__ import annotations

import json
from typing import Any

from kelp.card import card_json_schema
from kelp.deploy.generate.places import Places
from kelp.deploy.generate.readme import readme
from kelp.deploy.options import RenderOptions
from kelp.deploy.runtimes import runtimes
from kelp.deploy.text import dump

MADE = "# Made by `make render`.\n"
_SHARED = ("args", "securityContext", "volumeMounts")


def chart_files(places: Places) -> dict[str, str]:
    """Path below the chart → content."""
    return {
        "files/runtimes.yaml": MADE + dump({"runtimes": [_runtime(item) for item in runtimes(RenderOptions())]}),
        "values.schema.json": _schema(places),
        "README.md": readme((places.chart / "values.yaml").read_text(encoding="utf-8")),
    }


def _runtime(item: dict[str, Any]) -> dict[str, Any]:
    container = item["spec"]["containers"][0]
    return {
        "name": item["metadata"]["name"],
        "container": {key: container[key] for key in _SHARED},
        "env": container["env"],
    }


def _schema(places: Places) -> str:
    """The schema as it stands, its cards as `kelp.card` has them now."""
    schema = json.loads((places.chart / "values.schema.json").read_text(encoding="utf-8"))
    card = card_json_schema()
    card.pop("$schema")
    definitions = card.pop("$defs")
    own = {name: value for name, value in schema["$defs"].items() if name[0].islower() and name != "card"}
    schema["$defs"] = {**own, "card": card, **definitions}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
