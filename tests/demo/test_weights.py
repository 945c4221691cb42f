"""The committed weights: they are what their cards say, small, without traces of the machine, and good enough."""

from __future__ import annotations

import ast
import hashlib
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from demo.reef import HELD_OUT_SEEDS, render
from demo.training.evaluate import Tally
from demo.training.offline import prepare
from demo.training.recipes import (
    BANGGAI,
    CORALSEG,
    GRIDCORNERS,
    GRIDPOSE,
    LAMA,
    RECIPES,
    WEIGHTS,
    AnyRecipe,
    PoseRecipe,
    Recipe,
)
from kelp.card import load_card

ALL = [pytest.param(recipe, id=name) for name, recipe in RECIPES.items()]
MODELS = [pytest.param(recipe, id=name) for name, recipe in RECIPES.items() if recipe.task != "inpaint"]
LIMIT = 2_000_000


def files(recipe: AnyRecipe) -> tuple[Path, Path]:
    return recipe.into / f"{recipe.name}.pt", recipe.into / f"{recipe.name}.onnx"


def metadata(recipe: AnyRecipe) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(files(recipe)[1]).metadata_props}


def load_pt(path: Path) -> torch.nn.Module:
    # Our own file, held by its sha256 in the test above all others.
    model: torch.nn.Module = torch.load(path, map_location="cpu", weights_only=False)["model"].float()
    return model.eval()


@pytest.fixture(autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    prepare(tmp_path_factory.getbasetemp() / "ultralytics")


@pytest.mark.parametrize("recipe", ALL)
def test_sha256_in_card_and_sums_are_the_files(recipe: AnyRecipe) -> None:
    sums = dict(line.split("  ")[::-1] for line in (recipe.into / "SHA256SUMS").read_text().splitlines())
    for file in files(recipe):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sums[file.name]
    card = load_card(recipe.card)
    served = card.weights.by_role()
    assert served["model"].sha256 == sums[f"{recipe.name}.onnx"]
    assert (Path(card.weights.uri) / served["model"].file).resolve() == files(recipe)[1].resolve()
    if isinstance(recipe, PoseRecipe):
        assert served["template"].sha256 == sums[recipe.template]


@pytest.mark.parametrize("recipe", ALL)
def test_files_are_small(recipe: AnyRecipe) -> None:
    for file in files(recipe):
        assert file.stat().st_size <= LIMIT


def test_all_weights_together_are_small_in_git() -> None:
    held = (file.read_bytes() for file in WEIGHTS.rglob("*") if file.is_file() and "runs" not in file.parts)
    assert sum(len(zlib.compress(data)) for data in held) <= 20_000_000


@pytest.mark.parametrize("recipe", ALL)
def test_files_tell_nothing_of_the_machine(recipe: AnyRecipe) -> None:
    pt, onnx_file = files(recipe)
    with zipfile.ZipFile(pt) as archive:
        texts = b"".join(archive.read(name) for name in archive.namelist() if "/data/" not in name)
    for raw in (texts, onnx_file.read_bytes()):
        assert not re.search(rb"/(home|tmp|root|work|usr|Users)/|site-packages|\d{4}-\d\d-\d\d[T ]\d\d:", raw)


@pytest.mark.parametrize("recipe", MODELS)
def test_the_onnx_file_says_how_it_is_to_be_used(recipe: Recipe | PoseRecipe) -> None:
    told = metadata(recipe)
    assert told["task"] == recipe.task
    assert ast.literal_eval(told["imgsz"]) == [recipe.imgsz, recipe.imgsz]
    assert recipe.imgsz % int(told["stride"]) == 0
    names = list(ast.literal_eval(told["names"]).values())
    assert names == [label.name for label in load_card(recipe.card).labels]
    if isinstance(recipe, Recipe) and recipe.task != "pose":
        assert names == list(recipe.genera)
    graph = onnx.load(files(recipe)[1]).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("recipe", MODELS)
def test_pt_and_onnx_compute_the_same(recipe: Recipe | PoseRecipe) -> None:
    import onnxruntime

    pt, onnx_file = files(recipe)
    batch = np.random.Generator(np.random.PCG64(1)).uniform(0, 1, (2, 3, recipe.imgsz, recipe.imgsz)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    from_onnx = session.run(None, {session.get_inputs()[0].name: batch})
    with torch.no_grad():
        from_pt = load_pt(pt)(torch.from_numpy(batch))
    flat = [tensor.numpy() for tensor in _tensors(from_pt)]
    for output in from_onnx:
        twin = next(array for array in flat if array.shape == output.shape)
        np.testing.assert_allclose(output, twin, atol=2e-2, rtol=1e-3)


def _tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return _tensors(list(value.values()))
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize("recipe", [CORALSEG, BANGGAI, GRIDCORNERS, GRIDPOSE, LAMA], ids=lambda recipe: recipe.name)
def test_a_card_states_its_quality_on_held_out_quadrats(recipe: AnyRecipe) -> None:
    quality = yaml.safe_load(recipe.card.read_text())["quality"]
    first, last = map(int, re.findall(r"seeds (\d+) to (\d+)", quality["data"])[0])
    assert set(range(first, last + 1)) <= set(HELD_OUT_SEEDS)
    assert last - first + 1 == recipe.measured_pictures >= 12
    if isinstance(recipe, Recipe):
        assert quality["mask_f1_at_iou_0.5"] >= 0.7
    elif isinstance(recipe, PoseRecipe):
        for kind in ("photographs", "crops")[: 1 if recipe.points == 4 else 2]:
            assert quality[kind]["median_error_px"] <= (8 if recipe.points == 4 else 6)
            assert quality[kind]["in_right_slot"] >= 0.95
            assert f"{kind}_without_refinement" in quality
    else:
        assert quality["gain_over_cv2_inpaint_db"] >= -0.5


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".onnx", ".pt"])
def test_the_segmenter_is_as_good_as_its_card_says(ending: str) -> None:
    from ultralytics import YOLO

    from demo.training.measure import add_masks

    model = YOLO(CORALSEG.into / f"{CORALSEG.name}{ending}", task="segment")
    tally = Tally()
    for seed in HELD_OUT_SEEDS[:10]:
        scene = render(seed, 1280)
        add_masks(tally, CORALSEG, model, scene, scene.image)
    stated = yaml.safe_load(CORALSEG.card.read_text())["quality"]["mask_f1_at_iou_0.5"]
    assert tally.f1 >= max(0.5, stated - 0.08)
