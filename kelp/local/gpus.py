"""Which GPU a model's process gets. The choice is pure; only `list_devices` asks the driver."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, or a MIG slice of one. `uuid` is what CUDA_VISIBLE_DEVICES takes whatever the order of devices; bytes."""

    index: int
    uuid: str
    free: int
    total: int


def choose(devices: Sequence[Device], count: int, starting: Mapping[str, int]) -> tuple[str, ...]:
    """UUIDs of the `count` devices with most free memory; fewer where there are fewer.

    starting: UUID → bytes that models which are just starting there will take and the driver does not show yet.
    """
    ranked = sorted(devices, key=lambda device: (starting.get(device.uuid, 0) - device.free, device.index))
    return tuple(device.uuid for device in ranked[:count])


def allowed(devices: Sequence[Device], visible: str | None) -> list[Device]:
    """The devices that CUDA_VISIBLE_DEVICES leaves to us: indices or (beginnings of) UUIDs; None leaves all."""
    if visible is None:
        return list(devices)
    found: list[Device] = []
    for entry in filter(None, (entry.strip() for entry in visible.split(","))):
        match = [d for d in devices if (str(d.index) == entry if entry.isdigit() else d.uuid.startswith(entry))]
        if not match:
            break  # as CUDA does: what follows an unknown device is not seen either
        found += [d for d in match[:1] if d not in found]
    return found


def list_devices() -> list[Device]:
    """The machine's NVIDIA devices with their memory now; none where there is no driver."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            for handle in _slices(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)):
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                found.append(Device(index, pynvml.nvmlDeviceGetUUID(handle), int(memory.free), int(memory.total)))
        return allowed(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _slices(pynvml: Any, handle: Any) -> list[Any]:
    """The MIG slices of a device where it is cut into some, else the device itself."""
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:
        return [handle]
    if current != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [handle]
    slices = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            slices.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
        except pynvml.NVMLError_NotFound:
            continue
    return slices
