"""Bounds that keep a small hostile body from becoming large in memory; none is near what an honest request needs."""

from __future__ import annotations

MAX_TENSORS = 256
"""Inputs, and named outputs, of one message."""

MAX_RANK = 32
"""Dimensions of one tensor (numpy ends at 64)."""

MAX_ELEMENTS = 1 << 40
"""Elements of one tensor, counting a dimension of 0 as 1."""

MAX_BYTES_ELEMENTS = 1 << 17
"""Elements of one BYTES tensor: each costs some hundred bytes in memory, and only 4 on the wire."""

MAX_PARAMETERS = 256
"""Parameters of one object."""

MAX_FIELDS = 4096
"""Fields at the top of one protobuf message."""

MAX_JSON_CONTAINERS = 1 << 22
"""Lists and objects of one JSON text: `[]` is two bytes on the wire and some sixty in memory."""
