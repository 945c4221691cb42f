"""Boxes, masks and polygons: numpy and OpenCV only.

Coordinates are pixels of the original image, on pixel edges, half-open. `MaskSpans` stands in the middle: pixels,
CVAT's run lengths, a model's small mask grids and polygons become spans, and spans become any of them.
"""

from kelp.geometry.boxes import box_area, box_iou, clip_boxes, from_inclusive, pixel_boxes, to_inclusive
from kelp.geometry.contours import outer_contours
from kelp.geometry.crossings import are_simple, is_simple
from kelp.geometry.letterbox import Letterbox, MaskWindow
from kelp.geometry.outlines import mask_to_polygon, outer_polygons
from kelp.geometry.overlap import intersections, mask_iou, mask_iou_matrix
from kelp.geometry.polygons import Polygons, polygon_area, polygon_to_mask, spans_of_polygons
from kelp.geometry.protos import spans_of_protos
from kelp.geometry.rescale import spans_of_grids
from kelp.geometry.rle import (
    crop_to_cvat_rle,
    cvat_rle_to_crop,
    cvat_to_mask,
    decode_cvat_masks,
    encode_cvat_masks,
    mask_to_cvat,
)
from kelp.geometry.simplify import simplify
from kelp.geometry.spans import MaskSpans, mask_bounds, spans_of_crops, spans_of_masks

__all__ = [
    "Letterbox",
    "MaskSpans",
    "MaskWindow",
    "Polygons",
    "are_simple",
    "box_area",
    "box_iou",
    "clip_boxes",
    "crop_to_cvat_rle",
    "cvat_rle_to_crop",
    "cvat_to_mask",
    "decode_cvat_masks",
    "encode_cvat_masks",
    "from_inclusive",
    "intersections",
    "is_simple",
    "mask_bounds",
    "mask_iou",
    "mask_iou_matrix",
    "mask_to_cvat",
    "mask_to_polygon",
    "outer_contours",
    "outer_polygons",
    "pixel_boxes",
    "polygon_area",
    "polygon_to_mask",
    "simplify",
    "spans_of_crops",
    "spans_of_grids",
    "spans_of_masks",
    "spans_of_polygons",
    "spans_of_protos",
    "to_inclusive",
]
