"""What a TorchScript archive takes and gives, from its own source text; nothing of it is loaded.

Format: torch's `torch/csrc/jit/docs/serialization.md`.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path

from predictors.common.errors import WeightsError

_LARGEST_TEXT = 32 << 20


def inputs_of(path: Path) -> list[str]:
    """Names of what the main module's `forward` takes, `self` aside. WeightsError where that cannot be told."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).rpartition("/")[0]
            qualified = _main_class(archive.read(f"{root}/data.pkl"))
            module, _, name = qualified.rpartition(".")
            source = archive.getinfo(f"{root}/code/{module.replace('.', '/')}.py")
            if source.file_size > _LARGEST_TEXT:
                raise ValueError("its source is too large")
            text = archive.read(source).decode("utf-8")
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError, ValueError) as error:
        raise WeightsError(f"{path.name}: not a whole TorchScript archive ({error})") from None
    body = re.split(rf"^class {re.escape(name)}\(", text, maxsplit=1, flags=re.M)
    found = re.search(r"^  def forward\(self[^,)]*,?(?P<rest>.*?)\) ->", body[-1], re.M | re.S)
    if len(body) != 2 or found is None:
        raise WeightsError(f"{path.name}: its module '{name}' has no forward")
    return re.findall(r"(\w+)\s*:", found["rest"])


def _main_class(pickled: bytes) -> str:
    """The first class that the pickle names: the main module's."""
    texts: list[str] = []
    for code, argument, _ in pickletools.genops(pickled):
        if code.name == "GLOBAL" and isinstance(argument, str):
            return argument.replace(" ", ".")
        if code.name == "STACK_GLOBAL" and len(texts) >= 2:
            return f"{texts[-2]}.{texts[-1]}"
        if isinstance(argument, str):
            texts.append(argument)
    raise ValueError("it names no module")
