"""The metadata of a set, summarised by split and class."""

import numpy as np
import pandas as pd

from brainmri.reporting.scan_facts import NUMBERS, WORDS, scan_facts


def index(**columns):
    size = len(columns["label"])
    table = pd.DataFrame({**dict.fromkeys(NUMBERS, np.nan), **dict.fromkeys(WORDS, "")}, index=range(size))
    return table.assign(**columns)


def test_medians_are_over_what_is_told_and_words_are_counted():
    train = index(label=["a", "a", "a", ""], snr=[1.0, 9.0, np.nan, 4.0], plane=["axial", "coronal", "axial", ""])
    found = scan_facts({"train": train, "test": index(label=["b"], height_px=[200.0])}).set_index(["split", "label"])
    assert list(found.index) == [("train", "unlabelled"), ("train", "a"), ("test", "b")]
    assert found.loc[("train", "a"), "snr"] == 5.0
    assert found.loc[("train", "a"), "plane"] == "axial 2, coronal 1"
    assert found.loc[("train", "unlabelled"), "plane"] == "not told 1"
    assert np.isnan(found.loc[("test", "b"), "snr"])
    assert found["images"].tolist() == [1, 3, 1]
