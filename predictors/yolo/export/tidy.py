"""What an exported ONNX file need not tell: paths, dates and notes of whoever made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KEPT = (
    "stride", "task", "batch", "imgsz", "names", "args", "channels", "end2end", "kpt_shape", "head", "version",
)  # fmt: skip
"""Of ultralytics' metadata what a reader of the file needs."""


def tidy(source: Path, target: Path, description: str) -> None:
    """`source` as `target`, its metadata cut down to what a reader needs. Needs the package onnx."""
    import onnx

    graph = onnx.load(source)
    forget(graph, description)
    onnx.save(graph, target)


def forget(graph: Any, description: str) -> None:
    """Takes descriptions, dates, stack traces and paths out of an ONNX model, in place."""
    from onnx import helper

    kept = {entry.key: entry.value for entry in graph.metadata_props if entry.key in KEPT}
    helper.set_model_props(graph, {**kept, "description": description})
    graph.doc_string = ""
    graph.graph.doc_string = ""
    # Shapes between the nodes are inferred again by whoever loads the file.
    graph.graph.ClearField("value_info")
    for node in graph.graph.node:
        node.doc_string = ""
        node.ClearField("metadata_props")
    for value in (*graph.graph.input, *graph.graph.output):
        value.doc_string = ""
        value.ClearField("metadata_props")
