"""The page on Kubernetes: its commands, typed as they stand there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import cv2
import yaml

from demo.reef import render
from tests.cluster.support import cards
from tests.cluster.support.platform import Platform
from tests.cluster.support.shell import ROOT

PAGE = ROOT / "docs" / "kubernetes.md"


def test_the_pages_commands(platform: Platform, folder: Path) -> None:
    """Install, deploy, call, change, take back, delete, upgrade: each command of the page, in its order."""
    blocks = re.findall(r"^```sh cluster\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 3
    at = folder / "page"
    for name in ("charts", "environments"):
        shutil.copytree(ROOT / name, at / name)
    secrets = {
        "cvat": {"existingSecret": "kelp-cvat"},
        "webhook": {"existingSecret": "kelp-webhook"},
        "api": {"existingSecret": "kelp-api"},
    }
    (at / "my-values.yaml").write_text(yaml.safe_dump(platform.values(bridge=secrets)), encoding="utf-8")
    cards.write(at, cards.card("corals"))
    cv2.imwrite(str(at / "reef.jpg"), render(30001, 640).image[..., ::-1])
    typed = "\n".join(blocks).replace("-n kelp", f"-n {platform.ns}")
    kelp = f'kelp() {{ PYTHONPATH={ROOT} {sys.executable} -m kelp.cli "$@"; }}'
    script = f"set -euxo pipefail\ncd {at}\n{kelp}\n{typed}"
    platform.cluster.shell.run("bash", "-c", script, timeout_s=800)
    assert yaml.safe_load((at / "as-deployed.yaml").read_text(encoding="utf-8"))["name"] == "corals"
    platform.uninstall()
