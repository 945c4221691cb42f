"""The arrows between the rooms, read from the source: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LANGUAGE = ("card", "detections", "geometry", "codec", "settings", "errors")
# What the language may stand on; everything else would weigh on every process.
LIGHT = {"numpy", "cv2", "pydantic", "pydantic_core", "pydantic_settings", "yaml", "google", "orjson", "kelp"}
FORBIDDEN = {
    "kelp": {"predictors", "bridge", "demo", "benchmarks", "tests"},
    "predictors": {"bridge", "demo", "benchmarks", "tests"},
    "bridge": {"predictors", "demo", "benchmarks", "tests"},
    "demo": {"tests", "benchmarks"},
}


def imports(path: Path) -> set[str]:
    """Full names of the modules that the file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(ROOT).parts[: -node.level]
                base = ".".join((*package, base)).rstrip(".")
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def sources(room: str) -> list[Path]:
    place = ROOT / room
    return [place] if place.suffix else sorted(place.rglob("*.py"))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_imports_one_it_must_not_know(room: str) -> None:
    files = sources(room)
    assert files, f"{room}/ holds no source"
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imports(path)
        if name.split(".")[0] in FORBIDDEN[room]
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_nobody_imports_the_command_line_or_kelp_up() -> None:
    inner = {"kelp.cli", "kelp.local", "kelp.deploy"}
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for room in ("kelp", "predictors", "bridge")
        for path in sources(room)
        for name in imports(path)
        if any(name == place or name.startswith(place + ".") for place in inner)
        and not path.relative_to(ROOT).as_posix().startswith(("kelp/cli/", "kelp/local/", "kelp/deploy/"))
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_the_language_stands_on_light_packages_only() -> None:
    import sys

    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for room in LANGUAGE
        for path in sources(f"kelp/{room}" if (ROOT / "kelp" / room).is_dir() else f"kelp/{room}.py")
        for name in imports(path)
        if (top := name.split(".")[0]) not in LIGHT and top not in sys.stdlib_module_names and top != "__future__"
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_tracked_files_name_no_machine_and_no_registry() -> None:
    import re
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are the project's")
    # Assembled so that this file does not find itself.
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"))]
    pattern = re.compile("|".join([*map(re.escape, hosts), "/" + "work/main", "/" + "root/"]))
    wrong = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.stat().st_size > 2_000_000:
            continue
        text = path.read_bytes()
        if b"\0" not in text and (hit := pattern.search(text.decode("utf-8", "replace"))):
            wrong.append(f"{name}: {hit[0]}")
    assert not wrong, "\n".join(wrong)
