"""CoralSCoP's masks with a semantic model's classes, as a model of Kelp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kelp.card import Card
from kelp.detections import Predictions
from kelp.errors import NotReady
from kelp.settings.model import ModelSetting
from predictors.common.errors import UntrustedWeights, WeightsError
from predictors.common.memory import is_out_of_memory
from predictors.coralscop.config import check_file
from predictors.coralscop.found import Found
from predictors.coralscop.instances import instances_of
from predictors.coralscop.labels import labels_for
from predictors.model import Item, Model

if TYPE_CHECKING:
    from predictors.coralscop.engine import Engine, Given

ROLES = ("segformer_config", "segformer", "sam")
_SEGMENT = frozenset({"segment"})


class Prepared(NamedTuple):
    """An image as both networks take it, and its settings."""

    given: Given
    settings: Mapping[str, Any]


class RawImage(NamedTuple):
    """masks: what SAM found; classes: of each pixel, uint8 [H, W]."""

    masks: Found
    classes: NDArray[np.uint8]


class CoralscopModel(Model):
    """Segments. Roles: `segformer_config`, an mmsegmentation config; `segformer`, its checkpoint; `sam`, a SAM's."""

    own_settings: ClassVar[tuple[ModelSetting, ...]] = (
        ModelSetting(
            "conf_threshold", "float", 0.5, "share of a mask's pixels that must agree on its label", 0.0, 1.0,
            nuclio="CONF_THRESHOLD", tasks=_SEGMENT,
        ),
        ModelSetting(
            "iou_threshold", "float", 0.5, "share of a mask that better ones may cover before it goes", 0.0, 1.0,
            nuclio="IOU_THRESHOLD", tasks=_SEGMENT,
        ),
        ModelSetting(
            "points_per_side", "int", 32, "points a side that SAM is asked for masks at", 1, 128, tasks=_SEGMENT
        ),
        ModelSetting("points_per_batch", "int", 64, "points that SAM answers at once", 1, 1024, tasks=_SEGMENT),
        ModelSetting(
            "pred_iou_thresh", "float", 0.88, "masks whose quality SAM itself puts lower are dropped", 0.0, 1.0,
            tasks=_SEGMENT,
        ),
        ModelSetting(
            "stability_score_thresh", "float", 0.95, "masks that depend more on where they are cut are dropped",
            0.0, 1.0, tasks=_SEGMENT,
        ),
        ModelSetting(
            "box_nms_thresh", "float", 0.7, "overlap of boxes above which the weaker of two masks goes", 0.0, 1.0,
            tasks=_SEGMENT,
        ),
    )  # fmt: skip

    def __init__(self, card: Card, files: Mapping[str, Path]) -> None:
        super().__init__(card, files)
        if card.task != "segment":
            raise WeightsError(f"{card.name}: runtime 'coralscop' has the task segment, not '{card.task}'")
        if missing := [role for role in ROLES if role not in self.files]:
            raise WeightsError(
                f"{card.name}: expected files with the roles {', '.join(ROLES)}; missing: {', '.join(missing)}"
            )
        if self._sha256("segformer_config") is None and (card.weights.files or card.weights.sha256 is None):
            raise UntrustedWeights(
                f"{card.name}: an mmsegmentation config is a program; "
                "the sha256 of segformer_config must stand in the card"
            )
        self._engine: Engine | None = None
        self._labels: tuple[str, ...] = ()
        self._label_of_class = np.empty(0, np.int32)

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    def check_files(self) -> None:
        check_file(self.files["segformer_config"])

    def load(self) -> None:
        from predictors.coralscop.engine import Engine

        config, segformer, sam = (self.files[role] for role in ROLES)
        engine = Engine(self.card, config, segformer, sam, self._sha256("segformer_config"))
        self._labels, self._label_of_class = labels_for(
            self.card.label_names(), engine.class_names, engine.class_count, self.files["segformer"].name
        )
        self._engine = engine

    def warm_up_items(self) -> Sequence[Item]:
        """One gray image, few points, everything kept: every step runs once."""
        settings = {setting.name: setting.default for setting in self.own_settings}
        settings |= {
            "points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "conf_threshold": 0.0,
            "max_detections": 4,
        }  # fmt: skip
        return (Item(np.full((256, 256, 3), 128, np.uint8), settings, frozenset({"mask_rle"})),)

    def preprocess(self, items: Sequence[Item]) -> list[Prepared]:
        engine = self._loaded()
        return [Prepared(engine.prepare(item.image), item.settings) for item in items]

    def predict(self, batch: list[Prepared]) -> list[RawImage]:
        given = [prepared.given for prepared in batch]
        found = self._loaded().run(given, [prepared.settings for prepared in batch])
        return [RawImage(masks, classes) for masks, classes in found]

    def postprocess(self, raw: list[RawImage], items: Sequence[Item]) -> list[Predictions]:
        return [
            instances_of(
                answer.masks,
                answer.classes,
                self._label_of_class,
                agreement=item.settings["conf_threshold"],
                overlap=item.settings["iou_threshold"],
                most=item.settings["max_detections"],
            )
            for answer, item in zip(raw, items, strict=True)
        ]

    def is_out_of_memory(self, error: BaseException) -> bool:
        return super().is_out_of_memory(error) or is_out_of_memory(error)

    def free_cached_memory(self) -> None:
        if self._engine is not None:
            self._engine.free_cached_memory()

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise NotReady(f"{self.card.model_name}: the weights are not loaded yet")
        return self._engine

    def _sha256(self, role: str) -> str | None:
        entry = self.card.weights.by_role().get(role)
        return entry.sha256 if entry else None
