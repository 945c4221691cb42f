"""Knative's part of a model: how it scales, how long it may take to start and to answer."""

from __future__ import annotations

import math
from typing import Any

from kelp.card import Card
from kelp.errors import InvalidRequest

_LONGEST_WINDOW_S, _SHORTEST_WINDOW_S = 60, 6
_SCALE_DOWN_DELAY_S = 30
# Between the end of the model's own start and Knative's verdict that it made no progress.
_PROGRESS_SLACK_S = 60
# Of the hard limit that the autoscaler aims at, so that the next replica is there before requests queue.
_UTILIZATION_PERCENT = 70


def knative_annotations(card: Card) -> dict[str, str]:
    """Knative's annotations. The autoscaler counts concurrent requests, because a batch is made of those.

    Idle time until the pod goes: window (all of it without a request) + scale-down delay + retention = the card's
    `scale.retention`, and never less than Knative's shortest window.
    """
    window, delay, retention = idle_seconds(card)
    return {
        "autoscaling.knative.dev/metric": "concurrency",
        "autoscaling.knative.dev/target": str(card.scale.concurrency),
        "autoscaling.knative.dev/target-utilization-percentage": str(_UTILIZATION_PERCENT),
        "autoscaling.knative.dev/window": f"{window}s",
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period": f"{retention}s",
        "autoscaling.knative.dev/scale-down-delay": f"{delay}s",
        # Without it, an install and every change of a model would start a pod, and hold a GPU, for nobody.
        "autoscaling.knative.dev/initial-scale": str(card.scale.min),
        "serving.knative.dev/progress-deadline": f"{math.ceil(card.start_timeout) + _PROGRESS_SLACK_S}s",
    }


def idle_seconds(card: Card) -> tuple[int, int, int]:
    """(window, scale-down delay, retention) whose sum is the card's retention."""
    whole = math.ceil(card.scale.retention)
    window = min(max(whole, _SHORTEST_WINDOW_S), _LONGEST_WINDOW_S)
    left = max(whole - window, 0)
    delay = min(left, _SCALE_DOWN_DELAY_S) if card.scale.max > 1 else 0
    return window, delay, left - delay


def request_timeout_s(card: Card, max_timeout: int) -> int:
    """Seconds that Knative gives one request. The activator counts the cold start too, so it is in it.

    It is also the pod's grace period after SIGTERM. InvalidRequest where a request alone may take longer than the
    cluster allows.
    """
    limits = card.limits
    if limits.request_seconds > max_timeout:
        raise InvalidRequest(
            f"{card.model_name}: limits.request_seconds: {limits.request_seconds:g} s is more than the {max_timeout} s "
            "that the cluster's Knative allows (max-revision-timeout-seconds in its config-defaults)"
        )
    return min(max_timeout, math.ceil(card.start_timeout + limits.queue_seconds + limits.request_seconds))


def spec(card: Card, max_timeout: int) -> dict[str, Any]:
    """The scaling fields of an InferenceService's predictor."""
    found: dict[str, Any] = {
        "minReplicas": card.scale.min,
        "maxReplicas": card.scale.max,
        "containerConcurrency": card.scale.concurrency,
        "timeout": request_timeout_s(card, max_timeout),
    }
    if card.canary_percent is not None and card.canary_percent < 100:
        found["canaryTrafficPercent"] = card.canary_percent
    return found
