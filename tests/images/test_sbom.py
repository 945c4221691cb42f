"""`make sbom`: the bill names what lands in the image, with the hashes that the build demands."""

import json
import subprocess
import sys
from pathlib import Path

from kelp import __version__

ROOT = Path(__file__).parents[2]


def test_the_bill_of_the_onnx_image(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "images/sbom.py", "--out", tmp_path, "kelp-yolo-onnx"], check=True)
    bill = json.loads((tmp_path / "kelp-yolo-onnx.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    described = bill["metadata"]["component"]
    assert (described["name"], described["version"]) == ("kelp-yolo-onnx", __version__)
    parts = {part["name"]: part for part in bill["components"]}
    assert {"onnxruntime", "opencv-python-headless", "grpcio"} <= set(parts)
    assert "torch" not in parts
    # A lock lists one numpy for each Python, the image has one; and nothing of Windows.
    assert len([part for part in bill["components"] if part["name"] == "numpy"]) == 1
    assert "colorama" not in parts
    assert parts["onnxruntime"]["purl"].startswith("pkg:pypi/onnxruntime@1.")
    assert parts["onnxruntime"]["externalReferences"][0]["hashes"][0]["alg"] == "SHA-256"


def test_an_unknown_image_is_refused(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "images/sbom.py", "--out", tmp_path, "kelp-none"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "kelp-yolo-onnx" in run.stderr
