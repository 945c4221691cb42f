"""Recordings that are not gone through, whole or in part, and why; for the conversations see `conversations`."""

from __future__ import annotations

AI_TOOLS = "CVAT's own AI tools talking to Nuclio: the stand-in has none; Kelp's Nuclio face is tested with them"
DURATIONS = "how long a write took: the recorded speed is made from it"
EXPORTS = "exports: Kelp has no use for them"
IN_CLIENT = "an annotation function inside the client, on top of calls that are gone through"
ISSUES = "issues and comments: Kelp neither reads nor writes them"
SHORTENED = "gone through with shorter times: the time-out is 10 s"

FILES = {
    "lambda_dashboard": AI_TOOLS,
    "lambda_direct": AI_TOOLS,
    "lambda_extra_down": AI_TOOLS,
    "lambda_extra_loop": f"{AI_TOOLS}; its events of a write at task level are gone through",
    "lambda_extra_timeout5": AI_TOOLS,
    "ui_lambda_requests": AI_TOOLS,
}

PARTS = {
    "api_misc": {
        "jobs_filter": "the number of jobs on the recorded server",
        "put_2000": DURATIONS,
        "put_10000": DURATIONS,
        "put_20000": DURATIONS,
        "put_50x117": DURATIONS,
    },
    "lambda_extra_media": {"nuclio_image": AI_TOOLS, "call": AI_TOOLS},
    "sdk_calls_2.80.0": {
        "export_dataset COCO": EXPORTS,
        "export_dataset CVAT": EXPORTS,
        "cvataa.annotate_task": IN_CLIENT,
        "after cvataa: shapes": IN_CLIENT,
        "lambda_api.list_functions": AI_TOOLS,
    },
    "sdk_steps_2.80.0": {
        "put_2000_polygons": DURATIONS,
        "read_2000_polygons": DURATIONS,
        "patch_create_2000_more": DURATIONS,
    },
    "webhook_failures": {"slow15": SHORTENED, "slow9": SHORTENED},
    "webhook_timeline": {"create issue": ISSUES},
}
"""By recording, then by a name in it."""

ISSUE_EVENTS = ("create:comment", "create:issue", "delete:comment", "delete:issue")
BATCH_DELIVERIES = {
    f"{number:03d}_update-{kind}_ok" for number, kind in zip(range(65, 74), ["job", "task", "project"] * 3, strict=True)
}
"""Deliveries that CVAT's own batch annotation caused from a worker; nobody has the stand-in do that."""
