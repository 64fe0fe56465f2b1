"""Padding and extreme values are told from tissue; a scan without either keeps its every level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainmri.core.levels import own_levels

SIDE = 64


def scan(kind=np.uint16):
    """Return levels 0 to 999, evenly spread, most of them low."""
    rng = np.random.default_rng(0)
    return (1000 * rng.random((SIDE, SIDE)) ** 2).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_a_plain_scan_comes_back_as_it_is(kind):
    plain = (scan() // 4).astype(kind)
    assert own_levels(plain) is plain


@pytest.mark.parametrize("value", [-32768, -1000, 30000])
def test_padding_becomes_the_lowest_value_of_the_rest(value):
    given = scan(np.int16)
    given[:8] = value
    found = own_levels(given)
    assert found.dtype == np.int16
    assert (found[:8] == given[8:].min()).all()
    np.testing.assert_array_equal(found[8:], given[8:])


@pytest.mark.parametrize(("value", "end"), [(1e6, np.max), (-1e6, np.min), (3e38, np.max), (-3e38, np.min)])
def test_a_single_extreme_value_becomes_the_nearest_of_the_rest(value, end):
    given = scan(np.float32)
    given[3, 3] = value
    found = own_levels(given)
    rest = np.delete(given.ravel(), 3 * SIDE + 3)
    assert found[3, 3] == end(rest)
    np.testing.assert_array_equal(np.delete(found.ravel(), 3 * SIDE + 3), rest)


def test_padding_and_extreme_values_together():
    given = scan(np.float64)
    given[:8], given[20, 20], given[21, 21] = -3e38, 1e6, -1e4
    found = own_levels(given)
    rest = own_levels(scan(np.float64))[8:]
    assert found.min() >= rest.min()
    assert found.max() <= rest.max()


def test_a_bright_part_of_the_scan_stays():
    given = scan()
    given[:8, :8] = 1700 + np.arange(64).reshape(8, 8)  # a sixtieth: fat, a tumour
    assert own_levels(given) is given


def test_a_picture_of_few_levels_stays():
    for levels in ((0, 255), (0, 85, 170, 255), range(0, 256, 17)):
        drawing = np.repeat(np.array(levels, np.uint8), 256).reshape(-1, 16)
        assert own_levels(drawing) is drawing


def test_of_a_large_volume_the_extremes_are_seen_though_a_sample_is_looked_at():
    volume = np.tile(scan(np.float32), (3 * 2**8, 1))
    volume[1234, 17] = 1e9
    assert own_levels(volume).max() < 1000


@given(arrays(np.float32, (12, 12), elements=st.floats(-(2.0**120), 2.0**120, width=32)))
def test_the_result_is_within_the_range_given(values):
    found = own_levels(values)
    assert found.shape == values.shape
    assert values.min() <= found.min() <= found.max() <= values.max()
