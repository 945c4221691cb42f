"""compose.yaml: it says what the programs read, the example and the page tell all of it, nothing is open."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.settings import BridgeSettings
from kelp import __version__
from kelp.local.settings import UpSettings
from tests.images.test_build import table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
# ${NAME:-default}
VARIABLES: dict[str, str] = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT))


def example() -> dict[str, str]:
    lines = (ROOT / "compose.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("service", "settings"), [("bridge", BridgeSettings), ("models", UpSettings), ("models-gpu", UpSettings)]
)
def test_a_service_is_given_settings_that_its_program_has(service: str, settings: Any) -> None:
    given = {name.removesuffix("_FILE") for name in SERVICES[service]["environment"]}
    assert given <= {f"KELP_{field.upper()}" for field in settings.model_fields}


def test_the_example_holds_every_variable_with_the_default_that_compose_has() -> None:
    given = example()
    assert given.pop("COMPOSE_PROFILES") in {"cpu", "gpu"}
    assert given == VARIABLES
    assert not re.findall(r"\$\{?\w+\}?(?!:-)", re.sub(r"\$\{\w+:-[^}]*\}", "", TEXT)), "a variable without a default"


def test_the_page_names_every_variable() -> None:
    page = (ROOT / "docs/compose.md").read_text(encoding="utf-8")
    assert [name for name in example() if f"`{name}`" not in page] == []


def test_the_tag_is_the_version_of_the_code() -> None:
    assert VARIABLES["KELP_TAG"] == __version__


def test_the_images_are_those_that_are_built() -> None:
    names = {
        re.fullmatch(r"\$\{KELP_IMAGE_PREFIX:-\}([a-z-]+):\$\{KELP_TAG:-.*\}", s["image"])[1] for s in SERVICES.values()
    }  # type: ignore[index]
    assert names <= set(table())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little_and_is_reached_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    secrets = [name for name in service["environment"] if re.search("PASSWORD|TOKEN|SECRET", name)]
    assert all(name.endswith("_FILE") for name in secrets)


def test_cvat_is_given_a_name_with_a_dot() -> None:
    """CVAT refuses a webhook's address without one."""
    (alias,) = SERVICES["bridge"]["networks"]["cvat"]["aliases"]
    assert "." in alias
    assert VARIABLES["KELP_PUBLIC_URL"] == f"http://{alias}:8000"
    assert COMPOSE["networks"]["cvat"]["external"] is True


def test_the_shipped_cards_find_their_weights() -> None:
    mounts = {target: source for source, target in (volume.split(":")[-3:-1] for volume in _binds())}
    for card in (ROOT / "environments/models").glob("*.yaml"):
        weights = yaml.safe_load(card.read_text())["weights"]
        if "://" in weights["uri"]:
            continue
        for file in [entry["file"] for entry in weights.get("files", {}).values()] or [""]:
            inside = Path(os.path.normpath(f"/cards/{weights['uri']}/{file}"))
            assert any(str(folder) in mounts for folder in inside.parents), f"{card.name}: {inside} is on no volume"


def _binds() -> list[str]:
    plain = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume) for volume in SERVICES["models"]["volumes"]]
    return [volume for volume in plain if volume.endswith(":ro")]


def test_the_gpu_profile_takes_the_place_of_the_other() -> None:
    assert (SERVICES["models"]["profiles"], SERVICES["models-gpu"]["profiles"]) == (["cpu"], ["gpu"])
    aliases = {name: SERVICES[name]["networks"]["default"]["aliases"] for name in ("models", "models-gpu")}
    assert aliases == {"models": ["models"], "models-gpu": ["models"]}
    assert "profiles" not in SERVICES["bridge"]
