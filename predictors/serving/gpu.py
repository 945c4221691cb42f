"""What NVML says about the GPUs that this process may use; nothing where there is none."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from typing import Any

from predictors.serving.exposition import Sample


def utilization() -> list[Sample]:
    """Share of the last sampling period in which a kernel ran, 0..1, by GPU."""
    return _read(lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100.0)


def memory() -> list[Sample]:
    """Bytes of device memory in use, by GPU."""
    return _read(lambda nvml, handle: float(nvml.nvmlDeviceGetMemoryInfo(handle).used))


def _read(value: Callable[[Any, Any], float]) -> list[Sample]:
    nvml, devices = _devices()
    samples: list[Sample] = []
    for name, handle in devices:
        try:
            samples.append(((name,), value(nvml, handle)))
        except nvml.NVMLError:  # a GPU that is partitioned does not tell everything
            continue
    return samples


@functools.cache
def _devices() -> tuple[Any, list[tuple[str, Any]]]:
    """NVML and (name, handle) of each GPU; asked for on the first scrape, not at start."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None, []
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml, [(name, _handle(pynvml, name)) for name in _visible(pynvml)]
    except pynvml.NVMLError:
        return None, []


def _visible(nvml: Any) -> list[str]:
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return [str(index) for index in range(nvml.nvmlDeviceGetCount())]
    return [name.strip() for name in names.split(",") if name.strip()]


def _handle(nvml: Any, name: str) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID(name)
