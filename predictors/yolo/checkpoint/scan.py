"""Reads a pickle's instructions without running them, and refuses every one that a checkpoint has no need of.

A pickle is a program without branches, so following it with kinds of values in place of values is exact: what is
called, filled and put where is known before anything is unpickled. Only the instructions that `torch.save` writes
are known here, all of them with lengths in binary, which no two readers understand differently. Format: Python's
`pickletools`.
"""

from __future__ import annotations

from collections.abc import Callable

from predictors.yolo.checkpoint.machine import Kind, Machine, Value

Step = Callable[[Machine], None]
_STOP = ord(".")


def _skip(size: int) -> Step:
    return lambda machine: machine.skip(size)


def _push(value: Value, size: int = 0) -> Step:
    """A value whose `size` bytes say nothing that matters here."""

    def step(machine: Machine) -> None:
        machine.at += size
        machine.stack.append(value)

    return step


def _sized(value: Value, size: int) -> Step:
    """A value of as many bytes as a number of `size` bytes says."""

    def step(machine: Machine) -> None:
        machine.skip(machine.number(size))
        machine.push(value)

    return step


def _text(size: int) -> Step:
    return lambda machine: machine.push(machine.text(machine.number(size)))


def _tuple(count: int) -> Step:
    return lambda machine: machine.tuple_of(machine.last(count))


def _fresh(kind: Kind) -> Step:
    """A list, mapping or frozen set of what stands since the mark."""

    def step(machine: Machine) -> None:
        machine.check_plain(machine.since_mark())
        machine.push(kind)

    return step


_STEPS: dict[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": _skip(1),  # PROTO
        "\x95": _skip(8),  # FRAME
        "(": Machine.mark,
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
        "t": lambda machine: machine.tuple_of(machine.since_mark()),
        "l": _fresh(Kind.LIST),
        "d": _fresh(Kind.DICT),
        "\x91": _fresh(Kind.DATA),  # FROZENSET
        "a": lambda machine: machine.add(Kind.LIST, machine.last(1)),
        "e": lambda machine: machine.add(Kind.LIST, machine.since_mark()),
        "s": lambda machine: machine.add(Kind.DICT, machine.last(2)),
        "u": lambda machine: machine.add(Kind.DICT, machine.since_mark()),
        "\x90": lambda machine: machine.add(Kind.SET, machine.since_mark()),  # ADDITEMS
        "q": lambda machine: machine.put(machine.number(1)),  # BINPUT
        "r": lambda machine: machine.put(machine.number(4)),  # LONG_BINPUT
        "\x94": lambda machine: machine.put(len(machine.memo)),  # MEMOIZE
        "h": lambda machine: machine.get(machine.number(1)),  # BINGET
        "j": lambda machine: machine.get(machine.number(4)),  # LONG_BINGET
        "c": lambda machine: machine.name(machine.line(), machine.line()),  # GLOBAL
        "\x93": Machine.stack_global,
        "R": Machine.call,
        "\x81": Machine.new,  # NEWOBJ
        "b": Machine.build,
        "Q": Machine.by_id,  # BINPERSID
    }.items()
}


def scan_pickle(data: bytes, source: str, start: int = 0) -> int:
    """Position after the pickle that begins at `start`. UntrustedWeights names `source`, the place and the reason."""
    machine = Machine(data, source, start)
    try:
        while machine.at < len(data):
            code = data[machine.at]
            machine.at += 1
            if code == _STOP:
                return machine.at
            if code not in _STEPS:
                machine.refuse(f"instruction {bytes([code])!r}, which no checkpoint needs")
            _STEPS[code](machine)
        raise IndexError
    except IndexError:
        machine.refuse("it ends too early, or takes from where nothing is")
    except UnicodeDecodeError:
        machine.refuse("a text that is not UTF-8")
