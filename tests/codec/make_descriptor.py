"""Writes kelp/codec/grpc_descriptor.py from inference.proto: `python tests/codec/make_descriptor.py`."""

from __future__ import annotations

import base64
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "kelp" / "codec" / "inference.proto"
TARGET = ROOT / "kelp" / "codec" / "grpc_descriptor.py"
# The name under which the file is known in the pool; not one that KServe or Triton use.
NAME = "kelp/codec/inference.proto"


def compiled() -> bytes:
    """The serialized FileDescriptorProto of inference.proto."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.bin"
        status = protoc.main(["protoc", f"-I{ROOT}", f"--descriptor_set_out={out}", NAME])
        if status:
            raise SystemExit(f"protoc failed with {status}")
        (file,) = FileDescriptorSet.FromString(out.read_bytes()).file
    return file.SerializeToString(deterministic=True)


def module_text(descriptor: bytes) -> str:
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(base64.b64encode(descriptor).decode(), 108))
    return (
        '"""inference.proto, compiled by tests/codec/make_descriptor.py; a test compares the two."""\n\n'
        "from base64 import b64decode\n\n"
        f"DESCRIPTOR = b64decode(\n{lines}\n)\n"
    )


if __name__ == "__main__":
    TARGET.write_text(module_text(compiled()))
