"""YOLO without the server around it: the steps beside the network, and the start of each engine by part."""

from benchmarks.row import Row


def run() -> list[Row]:
    # Imported late: the scripts of this package are measured from their first line on.
    from benchmarks.yolo import start, steps

    return [*steps.run(), *start.run()]
