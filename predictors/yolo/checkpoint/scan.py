"""Reads a pickle's instructions without running them, and refuses every one that a checkpoint has no need of.

A pickle is a program without branches, so following it with kinds of values in place of values is exact: what is
called, filled and put where is known before anything is unpickled. Only the instructions that `torch.save` writes
are known here, all of them with lengths in binary, which no two readers understand differently. Format: Python's
`pickletools`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NoReturn

from predictors.yolo.checkpoint.names import ALLOWED, Role
from predictors.yolo.errors import UntrustedWeights


class Kind(Enum):
    """What is known of a value that is neither a text nor a name."""

    DATA = "plain data"
    LIST = "a list"
    DICT = "a mapping"
    SET = "a set"
    OBJECT = "an object"
    METHOD = "a method"
    LAYER_AND_TEXT = "a class and a method's name"
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


def scan_pickle(data: bytes, source: str, start: int = 0) -> int:
    """Position after the pickle that begins at `start`. UntrustedWeights names `source`, the place and the reason."""
    return _Scan(data, source, start).run()


class _Scan:
    def __init__(self, data: bytes, source: str, start: int) -> None:
        self.data = data
        self.source = source
        self.at = start
        self.stack: list[Value] = []
        self.below: list[list[Value]] = []
        self.memo: dict[int, Value] = {}

    def run(self) -> int:
        data, size = self.data, len(self.data)
        try:
            while self.at < size:
                code = data[self.at]
                self.at += 1
                if code == _STOP:
                    return self.at
                if code not in _STEPS:
                    self.refuse(f"instruction {bytes([code])!r}, which no checkpoint needs")
                _STEPS[code](self)
            raise IndexError
        except IndexError:
            self.refuse("it ends too early, or takes from where nothing is")
        except UnicodeDecodeError:
            self.refuse("a text that is not UTF-8")

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
            case [Named(role="layer"), str()]:
                self.push(Kind.LAYER_AND_TEXT)
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
        if role == "method" and arguments is Kind.LAYER_AND_TEXT:
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


Step = Callable[[_Scan], None]
_STOP = ord(".")


def _skip(size: int) -> Step:
    return lambda scan: scan.skip(size)


def _push(value: Value, size: int = 0) -> Step:
    """A value whose `size` bytes say nothing that matters here."""

    def step(scan: _Scan) -> None:
        scan.at += size
        scan.stack.append(value)

    return step


def _sized(value: Value, size: int) -> Step:
    """A value of as many bytes as a number of `size` bytes says."""

    def step(scan: _Scan) -> None:
        scan.skip(scan.number(size))
        scan.push(value)

    return step


def _text(size: int) -> Step:
    return lambda scan: scan.push(scan.text(scan.number(size)))


def _tuple(count: int) -> Step:
    return lambda scan: scan.tuple_of(scan.last(count))


def _fresh(kind: Kind) -> Step:
    """A list, mapping or frozen set of what stands since the mark."""

    def step(scan: _Scan) -> None:
        scan.check_plain(scan.since_mark())
        scan.push(kind)

    return step


_STEPS: dict[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": _skip(1),  # PROTO
        "\x95": _skip(8),  # FRAME
        "(": _Scan.mark,
        "N": _push(Kind.DATA),
        "\x88": _push(Kind.DATA),  # NEWTRUE
        "\x89": _push(Kind.DATA),  # NEWFALSE
        "J": _push(Kind.DATA, 4),  # BININT
        "K": _push(Kind.DATA, 1),  # BININT1
        "M": _push(Kind.DATA, 2),  # BININT2
        "G": _push(Kind.DATA, 8),  # BINFLOAT
        "\x8a": _sized(Kind.DATA, 1),  # LONG1
        "B": _sized(Kind.DATA, 4),  # BINBYTES
        "C": _sized(Kind.DATA, 1),  # SHORT_BINBYTES
        "\x8e": _sized(Kind.DATA, 8),  # BINBYTES8
        "X": _text(4),  # BINUNICODE
        "\x8c": _text(1),  # SHORT_BINUNICODE
        "\x8d": _text(8),  # BINUNICODE8
        "]": _push(Kind.LIST),
        "}": _push(Kind.DICT),
        "\x8f": _push(Kind.SET),  # EMPTY_SET
        ")": _push(Kind.DATA),  # EMPTY_TUPLE
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "t": lambda scan: scan.tuple_of(scan.since_mark()),
        "l": _fresh(Kind.LIST),
        "d": _fresh(Kind.DICT),
        "\x91": _fresh(Kind.DATA),  # FROZENSET
        "a": lambda scan: scan.add(Kind.LIST, scan.last(1)),
        "e": lambda scan: scan.add(Kind.LIST, scan.since_mark()),
        "s": lambda scan: scan.add(Kind.DICT, scan.last(2)),
        "u": lambda scan: scan.add(Kind.DICT, scan.since_mark()),
        "\x90": lambda scan: scan.add(Kind.SET, scan.since_mark()),  # ADDITEMS
        "q": lambda scan: scan.put(scan.number(1)),  # BINPUT
        "r": lambda scan: scan.put(scan.number(4)),  # LONG_BINPUT
        "\x94": lambda scan: scan.put(len(scan.memo)),  # MEMOIZE
        "h": lambda scan: scan.get(scan.number(1)),  # BINGET
        "j": lambda scan: scan.get(scan.number(4)),  # LONG_BINGET
        "c": lambda scan: scan.name(scan.line(), scan.line()),  # GLOBAL
        "\x93": _Scan.stack_global,
        "R": _Scan.call,
        "\x81": _Scan.new,  # NEWOBJ
        "b": _Scan.build,
        "Q": _Scan.by_id,  # BINPERSID
    }.items()
}
