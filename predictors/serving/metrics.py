"""What a predictor measures about itself."""

from __future__ import annotations

from collections.abc import Callable

from predictors.serving import gpu
from predictors.serving.exposition import Counter, Gauge, Histogram, Metric, Sample, render

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)


class PredictorMetrics:
    """The metrics of one process with one model."""

    def __init__(self, model: str, queue_depth: Callable[[], int]) -> None:
        """`queue_depth`: requests that wait for the model now."""
        self._model = model
        self._requests = Counter(
            "kelp_requests_total",
            "inference requests by protocol and HTTP status (499: the caller left)",
            ("model", "protocol", "code"),
        )
        self._duration = Histogram(
            "kelp_request_duration_seconds", "from the request's head to its answer", _SECONDS, ("model",)
        )
        self._phase = Histogram(
            "kelp_phase_duration_seconds",
            "time in a phase: decode, queue and encode of a request; preprocess, predict and postprocess of a batch",
            _SECONDS,
            ("model", "phase"),
        )
        self._batch = Histogram("kelp_batch_size", "images that went through the model at once", _IMAGES)
        self._rejected = Counter("kelp_rejected_total", "inference requests that were not served", ("reason",))
        self._all: list[Metric] = [
            self._requests, self._duration, self._phase, self._batch,
            Gauge("kelp_queue_depth", "requests that wait for the model", lambda: [((), float(queue_depth()))]),
            self._rejected,
            self._of_gpus("kelp_gpu_utilization_ratio", "share of time that the GPU was busy", gpu.utilization),
            self._of_gpus("kelp_gpu_memory_bytes", "device memory in use", gpu.memory),
        ]  # fmt: skip

    def request(self, protocol: str, code: int, seconds: float) -> None:
        """An inference request has been answered (499: its caller had left)."""
        self._requests.add(self._model, protocol, str(code))
        self._duration.observe(seconds, self._model)

    def rejected(self, reason: str) -> None:
        self._rejected.add(reason)

    def phase(self, name: str, seconds: float) -> None:
        self._phase.observe(seconds, self._model, name)

    def batch(self, images: int) -> None:
        """So many images went through the model at once."""
        self._batch.observe(images)

    def _of_gpus(self, name: str, help_text: str, read: Callable[[], list[Sample]]) -> Gauge:
        """Of each GPU that this process may use."""
        return Gauge(
            name, help_text, lambda: [((self._model, *labels), value) for labels, value in read()], ("model", "gpu")
        )

    def render(self) -> bytes:
        return render(self._all)
