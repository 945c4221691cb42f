"""Opening ONNX files by onnxruntime, on the card's device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Read when it is imported: its telemetry is on unless it is told otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from kelp.card import Card
from predictors.common.cpus import network_threads
from predictors.common.errors import WeightsError

_CUDA = "CUDAExecutionProvider"


def open_session(file: Path, card: Card) -> onnxruntime.InferenceSession:
    """A session for `file`. WeightsError if it cannot be used, or the card demands a device that is not there."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = network_threads(card)
    options.inter_op_num_threads = 1
    # Threads that wait asleep: waiting actively costs twice the processor time, and more time too where the
    # processors are shared.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = _providers(card.device)
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise WeightsError(f"{file.name}: onnxruntime cannot load it: {str(error)[:500]}") from None
    if card.device == "cuda" and _CUDA not in session.get_providers():
        raise WeightsError(f"{file.name}: the card demands device 'cuda', but onnxruntime could not start it")
    return session


def _providers(device: str) -> list[Any]:
    there = onnxruntime.get_available_providers()
    if device == "cuda" and _CUDA not in there:
        raise WeightsError(f"the card demands device 'cuda'; this onnxruntime has only {', '.join(there)}")
    if device == "cpu" or _CUDA not in there:
        return ["CPUExecutionProvider"]
    # CUDA's libraries may lie in packages of their own.
    onnxruntime.preload_dlls()
    # The default would try every algorithm anew for each new shape of a batch.
    return [(_CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}), "CPUExecutionProvider"]
