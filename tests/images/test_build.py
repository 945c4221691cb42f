"""The images' recipe: what a change of it would break for those who build, pull and run them."""

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from kelp import __version__
from kelp.deploy.families import variants

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "images/build.sh"
DOCKERFILE = (ROOT / "images/Dockerfile").read_text(encoding="utf-8")


def table() -> dict[str, tuple[str, str, list[str]]]:
    """Image → target of the Dockerfile, requirements, rooms."""
    lines = subprocess.run([BUILD, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split() for line in lines]
    return {image: (target, component, rooms.split(",")) for image, target, component, rooms in rows}


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUILD, *arguments], capture_output=True, text=True, check=False)


def stages() -> dict[str, list[str]]:
    """Stage of the Dockerfile → its instructions, continuation lines joined."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines():
        if line.startswith("FROM "):
            found[line.split(" AS ")[1]] = current = [line]
        elif line and not line.startswith(("#", "ARG BASE")):
            current.append(line)
    return found


def required(component: str) -> dict[str, str]:
    """Name → line of each requirement of the lock."""
    text = (ROOT / "requirements" / f"{component}.txt").read_text(encoding="utf-8")
    lines = re.findall(r"^[a-z0-9].*?(?=\n[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    return {Requirement(line.split(" \\\n")[0]).name: line for line in lines}


def test_every_image_that_a_card_can_need_is_built() -> None:
    assert {variant.name for variant in variants()} | {"kelp-bridge", "kelp-up"} <= set(table())


@pytest.mark.parametrize("image", table())
def test_an_image_is_made_of_a_stage_a_lock_and_rooms_that_are_there(image: str) -> None:
    target, component, rooms = table()[image]
    assert target in stages()
    lock = required(component)
    assert all("--hash=sha256:" in line for line in lock.values())
    assert all((ROOT / room / "__init__.py").is_file() for room in rooms)


@pytest.mark.parametrize("image", ["kelp-bridge", "kelp-yolo-onnx", "kelp-up"])
def test_an_image_without_torch_has_no_torch_and_no_tools(image: str) -> None:
    component = table()[image][1]
    assert not {"torch", "triton", "ultralytics", "kserve", "pandas", "pytest", "mypy"} & set(required(component))


def test_a_command_shows_what_would_be_built() -> None:
    shown = build("--dry-run", "--prefix", "example.com/team/", "--tag", "t1", "--push", "kelp-bridge")
    assert shown.returncode == 0
    line, push = shown.stderr.splitlines()
    assert "--target bridge -t example.com/team/kelp-bridge:t1" in line
    assert f"VERSION={__version__}" in line
    assert push == "+ docker push example.com/team/kelp-bridge:t1"


def test_the_tag_is_the_platforms_version() -> None:
    assert f"-t kelp-up:{__version__} " in build("--dry-run", "kelp-up").stderr


def test_an_unknown_image_is_named_beside_those_there_are() -> None:
    refused = build("--dry-run", "kelp-yollo")
    assert refused.returncode == 2
    assert "kelp-yollo" in refused.stderr
    assert "kelp-yolo-onnx" in refused.stderr


def test_requirements_come_before_code() -> None:
    copies = [line for line in stages()["image"] if line.startswith("COPY")]
    assert [copy.split()[-1] for copy in copies] == ["/opt/venv", "/opt/kelp"]


def test_nothing_of_the_build_is_in_a_last_stage() -> None:
    """pip runs in stages that are left behind: what comes along is copied, and no last stage installs anything."""
    for name in ("image", *{target for target, _, _ in table().values()}):
        assert not [line for line in stages()[name] if re.search(r"\b(pip|apt-get|compileall)\b", line)]


def test_a_container_is_nobody_and_kubernetes_asks_for_its_health() -> None:
    image = stages()["image"]
    assert "USER 65532:65532" in image
    assert not re.search(r"^(HEALTHCHECK|# *syntax=)", DOCKERFILE, re.MULTILINE)
    assert not [
        line for target in stages().values() for line in target if line.startswith("USER") and "65532" not in line
    ]


def test_the_context_is_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = [line[1:] for line in lines if line.startswith("!")]
    copies = [
        line for stage in stages().values() for line in stage if line.startswith("COPY ") and "--from" not in line
    ]
    assert {line.split()[1].replace("${COMPONENT}", "*") for line in copies} == set(allowed)


def test_the_page_lists_the_images_as_they_are_made() -> None:
    page = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `kelp-")}
    assert set(rows) == set(table())
    for image, (_, component, rooms) in table().items():
        assert f"| `{component}` | {', '.join(rooms)} |" in rows[image]
