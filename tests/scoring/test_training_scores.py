"""What training chooses by: the Dice coefficient, and which epoch is kept."""

import numpy as np
import pandas as pd

from brainmri.scoring import overlap
from brainmri.scoring.training_scores import dice, kept_epoch


def test_dice_is_not_scored_where_both_are_empty():
    truth = np.array([[[1, 1]], [[0, 0]], [[1, 0]], [[0, 0]]], bool)
    given = np.array([[[1, 0]], [[0, 0]], [[0, 0]], [[0, 1]]], bool)
    np.testing.assert_allclose(dice(truth, given), [2 / 3, np.nan, 0, 0])


def test_volumes_have_the_dice_of_all_their_slices():
    truth, given = np.random.default_rng(0).random((2, 3, 4, 5, 6)) > 0.5
    expected = [overlap.compare(one, other)["dice"] for one, other in zip(truth, given, strict=True)]
    assert dice(truth, given).tolist() == expected


def test_the_epoch_of_the_lowest_validation_loss_is_kept_and_the_first_of_equals():
    assert kept_epoch([0.9, 0.4, 0.6, 0.4]) == 1
    assert kept_epoch(pd.Series([0.9, 0.4], index=[7, 8])) == 1  # a place, not a name of a row
