"""The program that runs in the pod which has the volume mounted: `python -c` of this file, standard library only.

`state FOLDER NAME…` prints {name: [sha256 of the file, empty where there is none, bytes of its unfinished part]}.
`wait SECONDS` ends when no other process has run here for so long: whoever uses the pod may die without a word.
`receive FOLDER NAME SHA256 OFFSET SIZE` takes bytes OFFSET to SIZE from standard input, checks the whole, and gives it
its name; what broke off stays as a part that the next call goes on with.
"""

import hashlib
import json
import os
import sys
import time


def _part(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.part")


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def state(folder: str, *names: str) -> None:
    found = {}
    for name in names:
        path = os.path.join(folder, name)
        part = _part(path)
        found[name] = [
            _sha256(path) if os.path.isfile(path) else "",
            os.path.getsize(part) if os.path.isfile(part) else 0,
        ]
    print(json.dumps(found), flush=True)  # noqa: T201


def wait(seconds: str) -> None:
    """Each command that is run in the container is a process of its own."""
    last = time.monotonic()
    while time.monotonic() - last < float(seconds):
        if sum(name.isdigit() for name in os.listdir("/proc")) > 1:
            last = time.monotonic()
        time.sleep(1.0)


def receive(folder: str, name: str, sha256: str, offset: str, size: str) -> None:
    path = os.path.join(folder, name)
    part = _part(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    left = int(size) - int(offset)
    with open(part, "ab") as file:
        file.truncate(int(offset))
        while left:
            chunk = os.read(0, min(left, 1 << 20))
            if not chunk:
                sys.exit("it broke off")
            file.write(chunk)
            left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if _sha256(part) != sha256:
        os.remove(part)
        sys.exit("what arrived is not what was sent")
    os.replace(part, path)
    print("stored", flush=True)  # noqa: T201


if __name__ == "__main__":
    _command, *_arguments = sys.argv[1:]
    (state if _command == "state" else receive if _command == "receive" else wait)(*_arguments)
