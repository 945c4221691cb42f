"""What can happen to a connection, beyond the errors that a server answers with.

Unreachable           nobody listens yet, or no longer: waited for, as a model is that is not ready
├── ConnectionBroken  it broke while the request or the answer was under way: repeated a few times
└── NotTrusted        the certificate is not trusted: waiting would not help
BadGateway
└── MalformedAnswer   the answer is not V2's: asking again would not help
TooLate
└── GaveUpOnTheWay    not the model: a gateway did not wait long enough for it, perhaps for its start
"""

from __future__ import annotations

from kelp.errors import BadGateway, TooLate, Unreachable

CANNOT_START = frozenset({"failing", "over_budget"})
"""Codes of a model that was tried, and died or does not start. As the last word of a client: it has been waited for."""


class ConnectionBroken(Unreachable):
    default_code = "connection_broken"


class NotTrusted(Unreachable):
    default_code = "not_trusted"


class MalformedAnswer(BadGateway):
    default_code = "malformed_answer"


class GaveUpOnTheWay(TooLate):
    default_code = "gave_up_on_the_way"
