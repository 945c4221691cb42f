"""The environments' scripts: a dry run shows what they would do and does none of it; a wrong call is told."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCAL, PROD = ROOT / "environments/local", ROOT / "environments/prod"
SCRIPTS = [
    *(LOCAL / f"{name}.sh" for name in ("setup_kind", "install_kserve_knative", "setup_ingress_routing", "clean_up")),
    *(PROD / f"{name}.sh" for name in ("check_cluster", "configure_cluster", "install")),
]
VERSIONS = dict(re.findall(r"^(\w+)=(\S+)", (ROOT / "environments/versions.sh").read_text(), re.MULTILINE))
# Whatever of these a dry run would start, it would start for nothing.
NOT_FOR_DRY_RUNS = ("kubectl", "kind", "docker", "helm", "istioctl", "curl")


def script(path: Path, *arguments: str, tools: Path) -> subprocess.CompletedProcess[str]:
    """Run it with `tools` before the system's programs, and no cluster."""
    environment = {
        "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tools),
        "KUBECONFIG": str(tools / "none"),
    }
    return subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Programs that write down that they were called, with what, and fail."""
    for name in NOT_FOR_DRY_RUNS:
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\nexit 1\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def called(tools: Path) -> list[str]:
    """What was called; questions that change nothing left out."""
    log = tools / "called"
    lines = log.read_text().splitlines() if log.exists() else []
    return [
        line
        for line in lines
        if not re.match(r"kubectl( --context \S+)? get |kind get |docker image inspect |helm template ", line)
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_dry_run_shows_and_does_nothing(path: Path, tools: Path) -> None:
    shown = script(path, "--dry-run", tools=tools)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert len(shown.stdout.splitlines()) > 5
    assert called(tools) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_it_says_how_it_is_called(path: Path, tools: Path) -> None:
    helped = script(path, "--help", tools=tools)
    assert helped.returncode == 0
    assert f"environments/{path.parent.name}/{path.name}" in helped.stdout
    refused = script(path, "--wrong", tools=tools)
    assert refused.returncode == 2
    assert called(tools) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_option_is_in_its_help(path: Path, tools: Path) -> None:
    options = re.findall(r"^    (?:-\w \| )?(--[a-z-]+)(?: \| (--[a-z-]+))?\)", path.read_text(), re.MULTILINE)
    helped = script(path, "--help", tools=tools).stdout
    assert options
    assert [
        option for pair in options for option in pair if option and option != "--help" and option not in helped
    ] == []


def test_what_is_installed_has_the_versions_of_the_one_place(tools: Path) -> None:
    shown = script(LOCAL / "install_kserve_knative.sh", "--dry-run", tools=tools).stdout
    for name in ("CERT_MANAGER_VERSION", "ISTIO_VERSION", "KNATIVE_VERSION", "KSERVE_VERSION"):
        assert VERSIONS[name] in shown
    pinned = [
        (path.name, found) for path in SCRIPTS for found in re.findall(r"\d+\.\d+\.\d+(?!\.)", _without_addresses(path))
    ]
    assert pinned == [], "a version outside of environments/versions.sh"


def _without_addresses(path: Path) -> str:
    return re.sub(r"\d+\.\d+\.\d+\.\d+", "", path.read_text())


def test_a_mirror_takes_the_place_of_the_releases_host(tools: Path) -> None:
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "KELP_RELEASES": "https://mirror.example.com"}
    shown = subprocess.run(
        [LOCAL / "install_kserve_knative.sh", "--dry-run"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"https?://[^/ ]+", shown)) == {"https://mirror.example.com"}


def test_the_local_scripts_never_take_whatever_cluster_is_current(tools: Path) -> None:
    for path in SCRIPTS[:4]:
        shown = script(path, "--dry-run", tools=tools).stdout
        for line in shown.splitlines():
            if line.startswith(("+ kubectl", "+ istioctl", "+ helm")):
                assert "kind-kelp" in line, line


def test_the_secrets_of_the_values_are_looked_for_before_the_install(tools: Path) -> None:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    (tools / "helm").unlink()
    (tools / "helm").symlink_to(helm)
    named = ("--secret", "kelp-cvat:token", "--set", "bridge.cvat.caSecret=authority")
    shown = script(PROD / "install.sh", "--dry-run", *named, tools=tools).stdout
    (check,) = [line for line in shown.splitlines() if "check_cluster.sh" in line]
    assert sorted(re.findall(r"--secret (\S+)", check)) == [
        "authority", "kelp-api", "kelp-cvat:token", "kelp-postgres", "kelp-webhook",
    ]  # fmt: skip


def test_an_environment_that_there_is_not_is_refused(tools: Path) -> None:
    refused = script(LOCAL / "make_env.sh", "--dry-run", tools=tools)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "make_env.sh demo|dev" in refused.stderr


def test_without_a_cluster_the_check_says_so(tools: Path) -> None:
    refused = script(PROD / "check_cluster.sh", tools=tools)
    assert refused.returncode == 3
    assert "cannot be reached" in refused.stderr


def test_a_missing_program_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("bash", "dirname", "awk", "env", "sed"):
        (bare / name).symlink_to(f"/usr/bin/{name}")
    run = subprocess.run(
        [LOCAL / "setup_kind.sh"], env={"PATH": str(bare)}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "setup_kind.sh: needs docker (its daemon runs the node)" in run.stderr


def test_shellcheck_has_nothing_to_say() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    if not checker.exists():
        pytest.skip("no shellcheck in this environment")
    listed = subprocess.run(
        ["git", "ls-files", "*.sh", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    scripts = listed.stdout.split() or [str(path.relative_to(ROOT)) for path in SCRIPTS]
    found = subprocess.run(
        [checker, "-x", "-P", "SCRIPTDIR", *scripts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert found.returncode == 0, found.stdout
