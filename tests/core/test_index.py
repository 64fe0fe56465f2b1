"""Tables of images: what is a name stays text, what is a number and missing is NaN."""

import numpy as np
import pandas as pd
import pytest

from brainmri.core.errors import ArtifactError
from brainmri.core.files import write_table
from brainmri.core.index import read_table

NAMES = ("image_id", "label", "predicted", "method", "split", "patient")


@pytest.mark.parametrize("names", [["0", "1"], ["007", "1e5"], ["NA", "None"], ["", "nan"], ["True", "False"]])
def test_names_that_look_like_something_else_stay_text(tmp_path, names):
    table = pd.DataFrame(dict.fromkeys(NAMES, names))
    write_table(tmp_path / "rows.csv", table)
    read = read_table(tmp_path / "rows.csv", {})
    assert read.to_dict("list") == table.to_dict("list")


def test_numbers_may_be_missing(tmp_path):
    write_table(
        tmp_path / "rows.csv", pd.DataFrame({"dice": [0.5, np.nan], "hd95": [np.nan, np.nan], "area_px": [1, 2]})
    )
    read = read_table(tmp_path / "rows.csv", {})
    assert [str(kind) for kind in read.dtypes] == ["float64", "float64", "int64"]
    assert read["dice"].isna().tolist() == [False, True]


def test_a_missing_table_is_one_sentence(tmp_path):
    with pytest.raises(ArtifactError, match=r"rows\.csv: no such file; run the stage that writes it"):
        read_table(tmp_path / "rows.csv", {})
