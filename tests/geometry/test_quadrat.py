"""Quadrats: which four points are one, and how well its picture is taken."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo.reef import render
from kelp.geometry.quadrat import crop_quadrat, quadrat_fault

SQUARE = np.array([[10, 10], [90, 12], [88, 80], [14, 85.0]])


@pytest.mark.parametrize(
    ("corners", "fault"),
    [
        (SQUARE, None),
        (np.array([[0, 0], [100, 0], [100, 90], [0, 90.0]]), None),  # the whole picture
        (SQUARE[[0, 2, 1, 3]], "its sides cross"),
        (SQUARE[::-1], "anticlockwise"),
        (np.array([[10, 10], [50, 10], [90, 10], [50, 80.0]]), "on one line"),
        (np.array([[10, 10], [90, 10], [40, 40], [10, 80.0]]), "not convex"),
        (SQUARE + np.array([0, 10]), r"corner 4 \(14, 95\) lies outside the image of 100x90"),
        (SQUARE - np.array([11, 0]), "corner 1"),
        (SQUARE[:3], "expected 4 corners, got 3"),
        (np.where(SQUARE == 88, np.nan, SQUARE), "no finite coordinates"),
        (np.array([[10, 10], [13, 10], [13, 13], [10, 13.0]]), "only 3.0 pixels"),
    ],
)
def test_what_is_a_quadrat(corners, fault):
    found = quadrat_fault(corners, (90, 100))
    if fault is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(fault, found)
        with pytest.raises(ValueError, match=fault):
            crop_quadrat(np.zeros((90, 100, 3), np.uint8), corners, 50)


def test_the_whole_picture_at_its_own_size_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    whole = np.array([[0, 0], [120, 0], [120, 120], [0, 120.0]])
    np.testing.assert_array_equal(crop_quadrat(image, whole, 120), image)
    np.testing.assert_array_equal(crop_quadrat(image, np.roll(whole, -1, axis=0), 120), np.rot90(image))


def test_corners_come_to_the_corners():
    """A coloured patch just inside each corner is found in its corner of the crop."""
    image = np.zeros((900, 1000, 3), np.uint8)
    corners = np.array([[100, 120], [880, 60], [930, 800], [60, 850.0]])
    middle = corners.mean(axis=0)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    for corner, colour in zip(corners, colours, strict=True):
        at = corner + 0.06 * (middle - corner)
        cv2.circle(image, tuple(int(v) for v in at), 30, colour, -1)
    crop = crop_quadrat(image, corners, 200)
    for (y, x), colour in zip([(5, 5), (5, -6), (-6, -6), (-6, 5)], colours, strict=True):
        assert tuple(crop[y, x]) == colour


def supersampled(image: NDArray[np.uint8], corners: NDArray[np.float64], size: int, times: int) -> NDArray[np.float64]:
    """The crop as the mean of times² exact samples a pixel: slow, and as good as it gets."""
    fine = size * times
    square = np.array([[0, 0], [fine, 0], [fine, fine], [0, fine]], np.float32) - np.float32(0.5)
    matrix = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), square)
    warped = cv2.warpPerspective(image, matrix, (fine, fine), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return warped.reshape(size, times, size, times, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [300, 700])
def test_fine_textures_do_not_alias(size):
    scene = render(30003, 1920)
    corners = scene.corners + 0.5
    truth = supersampled(scene.image, corners, size, 6)

    def decibel(crop: NDArray[np.uint8]) -> float:
        return float(10 * np.log10(255**2 / ((crop - truth) ** 2).mean()))

    matrix = cv2.getPerspectiveTransform(
        corners.astype(np.float32), np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    )
    naive = cv2.warpPerspective(scene.image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    ours = decibel(crop_quadrat(scene.image, corners, size))
    assert ours > 42
    assert ours > decibel(naive) + 6
