"""Volumes, edge contact and post-processing on masks worked out by hand."""

import numpy as np
import pytest
from fibrovol.imaging import postprocess, volumetry


def test_volume_is_voxels_times_their_size():
    assert volumetry.volume_ml(np.ones((10, 10, 10), bool), 0.027) == pytest.approx(27.0)


def test_contact_counts_the_faces_in_mm2():
    mask = np.zeros((10, 10, 10), bool)
    mask[2:5, 3:7, 0] = True
    assert volumetry.border_contact_mm2(mask, (2.0, 3.0, 5.0)) == pytest.approx(12 * 6.0)
    assert volumetry.border_contact_mm2(np.roll(mask, 4, axis=2), (2.0, 3.0, 5.0)) == 0.0


def test_a_copy_of_a_distant_slice_is_found_and_a_doubled_one_is_resampling():
    scan = np.random.default_rng(0).integers(-900, 900, (24, 20, 30)).astype(np.int16)
    scan[:, :, :3] = -1000  # padding repeats itself
    assert volumetry.repeated_planes(scan) == 0
    scan[:, :, 12] = scan[:, :, 11]
    assert volumetry.repeated_planes(scan) == 0
    scan[:, :, 20] = scan[:, :, 9]
    assert volumetry.repeated_planes(scan) == 1
    scan[1, 1, 20] += 1
    assert volumetry.repeated_planes(scan) == 0
    assert volumetry.repeated_planes(np.repeat(scan[:, :, 5:9], 8, axis=2)) == 0


def test_crisp_border_has_no_spread_and_a_soft_one_has():
    crisp = np.zeros((20, 20, 20), np.float32)
    crisp[5:15, 5:15, 5:15] = 1
    assert volumetry.threshold_spread(crisp, low=0.2, high=0.8) == 0.0
    soft = crisp.copy()
    soft[15, 5:15, 5:15], soft[4, 5:15, 5:15] = 0.3, 0.3
    assert volumetry.threshold_spread(soft, low=0.2, high=0.8) == pytest.approx(0.1)
    assert volumetry.threshold_spread(crisp * 0.1, low=0.2, high=0.8) == float("inf")


def test_only_the_largest_region_stays():
    probability = np.zeros((30, 30, 30), np.float32)
    probability[2:14, 2:14, 2:14] = 0.9
    probability[14, 2:14, 2:14] = 0.3  # its soft rim belongs to it
    probability[20:24, 20:24, 20:24] = 0.95
    kept = postprocess.keep_largest(probability)
    assert kept[5, 5, 5] == np.float32(0.9)
    assert kept[14, 5, 5] == np.float32(0.3)
    assert kept[21, 21, 21] == 0
    assert not postprocess.keep_largest(np.zeros((4, 4, 4), np.float32)).any()


def test_enclosed_holes_are_filled_and_open_ones_are_not():
    probability = np.zeros((20, 20, 20), np.float32)
    probability[4:16, 4:16, 4:16] = 1
    probability[8:10, 8:10, 8:10] = 0  # a vessel
    probability[12, 12, 12:] = 0  # a canal that reaches the outside
    filled = postprocess.fill_holes(probability)
    assert filled[8:10, 8:10, 8:10].min() == 1
    assert filled[12, 12, 13] == 0
    assert filled[0, 0, 0] == 0


def test_padding_is_not_part_of_the_scan():
    scan = np.random.default_rng(0).normal(0, 10, (40, 30, 20))
    scan[:7], scan[:, 25:], scan[:, :, :3] = -1000.0, -1000.0, -1000.0
    seen = volumetry.content_box(scan)
    assert seen == (slice(7, 40), slice(0, 25), slice(3, 20))
    mask = np.zeros(scan.shape, bool)
    mask[7:20, 5:15, 5:10] = True  # reaches the plane where the padding begins
    spacing_mm = (2.0, 3.0, 4.0)
    assert volumetry.border_contact_mm2(mask, spacing_mm) == 0
    assert volumetry.border_contact_mm2(mask[seen], spacing_mm) == 10 * 5 * 12


def test_blank_planes_inside_an_organ_are_counted():
    scan = np.random.default_rng(0).normal(0, 10, (40, 30, 20))
    mask = np.zeros(scan.shape, bool)
    mask[5:30, 5:20, 4:16] = True
    assert volumetry.blank_planes(scan, mask) == 0
    scan[:, :, 8:11] = -1000.0
    scan[:, :, 19] = -1000.0  # padding at the face of the scan
    scan[:, :6] = -1000.0  # padding that the organ's border laps over
    assert volumetry.blank_planes(scan, mask) == 3
    assert volumetry.blank_planes(scan, np.zeros_like(mask)) == 0
    mask[:, :, :11] = False  # the piece below the blank was the smaller one
    assert volumetry.blank_planes(scan, mask) == 3
