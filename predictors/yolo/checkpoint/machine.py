"""The stack and memo of Python's unpickler, holding what is known of values instead of values."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn

from predictors.common.errors import UntrustedWeights
from predictors.yolo.checkpoint.names import ALLOWED, Role


class Kind(Enum):
    """What is known of a value that is neither a text nor a name."""

    DATA = "plain data"
    LIST = "a list"
    DICT = "a mapping"
    SET = "a set"
    OBJECT = "an object"
    METHOD = "a method"
    LAYER_AND_FORWARD = "a class and its method's name"
    STORAGE_ID = "the id of a tensor's storage"


class Named:
    """A name of the allow-list on the stack."""

    __slots__ = ("name", "role")

    def __init__(self, role: Role, name: str) -> None:
        self.role = role
        self.name = name


class LayerId:
    """The persistent id of a class: the format of before torch 1.6 writes classes so, with their source beside them."""

    __slots__ = ("layer",)

    def __init__(self, layer: Named) -> None:
        self.layer = layer


Value = Kind | Named | LayerId | str
_PLAIN = (Kind.DATA, Kind.LIST, Kind.DICT, Kind.SET, Kind.OBJECT, Kind.METHOD)


class Machine:
    """Follows a pickle's instructions with kinds of values; what no checkpoint does raises UntrustedWeights."""

    def __init__(self, data: bytes, source: str, start: int) -> None:
        self.data = data
        self.source = source
        self.at = start
        self.stack: list[Value] = []
        self.below: list[list[Value]] = []
        self.memo: dict[int, Value] = {}

    def refuse(self, what: str) -> NoReturn:
        raise UntrustedWeights(f"{self.source}: refused unread: {what} (byte {self.at - 1})")

    # Arguments in the file.

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError

    def number(self, size: int) -> int:
        self.skip(size)
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def text(self, size: int) -> str:
        self.skip(size)
        return self.data[self.at - size : self.at].decode("utf-8", "surrogatepass")

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise IndexError
        self.at, begin = end + 1, self.at
        return self.data[begin:end].decode("utf-8", "replace")

    # The stack.

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Value]:
        values = self.stack
        self.stack = self.below.pop()
        return values

    def check_plain(self, values: list[Value]) -> None:
        """Classes, functions and ids have no business in lists, mappings and states."""
        for value in values:
            if value in _PLAIN or type(value) is str or (type(value) is Named and value.role == "value"):
                continue
            self.refuse(f"{_shown(value)} where only data belongs")

    # Instructions.

    def name(self, module: str, name: str) -> None:
        role = ALLOWED.get((module, name))
        if role is None:
            self.refuse(f"it names '{module}.{name}', which no YOLO checkpoint needs")
        self.push(Named(role, f"{module}.{name}"))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            self.refuse("a computed name")
        self.name(module, name)

    def tuple_of(self, values: list[Value]) -> None:
        match values:
            case [Named(role="layer"), "forward"]:
                self.push(Kind.LAYER_AND_FORWARD)
            case ["storage", Named(role="storage"), *rest]:
                self.check_plain(rest)
                self.push(Kind.STORAGE_ID)
            case ["module", Named(role="layer" | "stand-in") as layer, *rest]:
                self.check_plain(rest)
                self.push(LayerId(layer))
            case _:
                self.check_plain(values)
                self.push(Kind.DATA)

    def last(self, count: int) -> list[Value]:
        if len(self.stack) < count:
            raise IndexError
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def call(self) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        role = target.role if isinstance(target, Named) else None
        if role == "method" and arguments is Kind.LAYER_AND_FORWARD:
            self.push(Kind.METHOD)
        elif role in ("call", "mapping", "record") and arguments is Kind.DATA:
            self.push(Kind.DICT if role == "mapping" else Kind.OBJECT)
        else:
            self.refuse(f"a call of {_shown(target)}")

    def new(self) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        made = isinstance(target, Named) and target.role in ("layer", "stand-in", "record")
        if not made or arguments is not Kind.DATA:
            self.refuse(f"an instance of {_shown(target)}")
        self.push(Kind.OBJECT)

    def build(self) -> None:
        state = self.stack.pop()
        self.check_plain([state])
        if self.stack[-1] not in (Kind.OBJECT, Kind.DICT):
            self.refuse("a state for what is no object")

    def add(self, kind: Kind, values: list[Value]) -> None:
        self.check_plain(values)
        if self.stack[-1] is not kind:
            self.refuse(f"items for what is not {kind.value}")

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def by_id(self) -> None:
        saved_id = self.stack.pop()
        if isinstance(saved_id, LayerId):
            self.push(saved_id.layer)
        elif saved_id is Kind.STORAGE_ID:
            self.push(Kind.DATA)
        else:
            self.refuse("a persistent id that is neither a class nor a tensor's storage")

    def put(self, index: int) -> None:
        # A reader makes room for as many: more than there are bytes is an attack on its memory.
        if index > len(self.data):
            self.refuse("a memo larger than the file")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            self.refuse("a memo that was never written")
        self.push(self.memo[index])


def _shown(value: Value) -> str:
    match value:
        case Named():
            return value.name
        case LayerId():
            return value.layer.name
        case Kind():
            return value.value
        case _:
            return "a text"
