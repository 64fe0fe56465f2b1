"""Which epoch is kept."""

import pandas as pd

from brainmri.scoring.epochs import kept_epoch


def test_the_epoch_of_the_lowest_validation_loss_is_kept_and_the_first_of_equals():
    assert kept_epoch([0.9, 0.4, 0.6, 0.4]) == 1
    assert kept_epoch(pd.Series([0.9, 0.4], index=[7, 8])) == 1  # a place, not a name of a row
