"""Columns of the index as numbers."""

import numpy as np
import pandas as pd
import pytest

from brainmri.core.errors import InputError
from brainmri.preprocessing.columns import encode, fit_encoding, width

TABLE = pd.DataFrame({"snr": [1.0, 3.0, np.nan, 5.0], "plane": ["axial", "", "sagittal", "axial"]})


def test_numbers_are_z_scores_and_words_are_one_of_k():
    encoding = fit_encoding(TABLE, ["snr", "plane"])
    sd = np.sqrt(8 / 3)
    expected = [[-2 / sd, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1], [2 / sd, 0, 1, 0]]
    np.testing.assert_allclose(encode(TABLE, encoding), expected, rtol=1e-6)
    assert width(encoding) == 4


def test_unknown_words_and_far_values():
    encoding = fit_encoding(TABLE, ["snr", "plane"])
    new = pd.DataFrame({"snr": [1e9, -1e9], "plane": ["coronal", "axial"]})
    np.testing.assert_allclose(encode(new, encoding), [[5, 0, 0, 0], [-5, 0, 1, 0]])


def test_a_column_without_spread_stays_finite():
    table = pd.DataFrame({"snr": [2.0, 2.0]})
    np.testing.assert_allclose(encode(table, fit_encoding(table, ["snr"])), [[0, 0], [0, 0]])


@pytest.mark.parametrize("names", [["plane"], ["voxel_row_mm"], ["snr", "plane"], ["voxel_row_mm", "plane"]])
def test_columns_without_any_value_are_refused_by_name(names):
    table = pd.DataFrame({"snr": [2.0, np.nan], "voxel_row_mm": [np.nan, np.nan], "plane": ["", ""]})
    lacking = ", ".join(name for name in names if name != "snr")
    with pytest.raises(InputError, match=rf"train.metadata: every column .* received none of {lacking}; leave it out"):
        fit_encoding(table, names)


def test_no_columns_make_nothing():
    assert encode(TABLE, []).shape == (4, 0)
    assert width([]) == 0
