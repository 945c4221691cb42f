"""The page says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kelp.pipeline.load import parse_pipeline
from kelp.pipeline.schema import Crop, Detect, Pipeline, Project, RemoveGrid
from kelp.pipeline.settings import PipelineSettings

PAGE = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text(encoding="utf-8")
FIELDS = [name for model in (Pipeline, Project, Detect, Crop, RemoveGrid) for name in model.model_fields]


@pytest.mark.parametrize("field", PipelineSettings.model_fields)
def test_every_setting_stands_with_its_default(field: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `KELP_") and f"`KELP_{field.upper()}`" in line)
    default = PipelineSettings.model_fields[field].default
    if isinstance(default, (str, Path)) and str(default):
        assert str(default) in row


@pytest.mark.parametrize("field", sorted({name for name in FIELDS if name not in {"model_name", "remove_grid"}}))
def test_every_field_is_described(field: str) -> None:
    assert f"{field}:" in PAGE or f"`{field}`" in PAGE


def test_the_example_is_one() -> None:
    (example,) = [block for block in PAGE.split("```yaml\n")[1:] if "projects:" in block]
    text = example.split("```")[0]
    pipeline = parse_pipeline(text)
    assert list(pipeline.projects) == list(yaml.safe_load(text)["projects"])
