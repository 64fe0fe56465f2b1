import cv2
import pandas as pd

from brainmri.comparison.sweep_report import Trial, ranked, write

ACCURACY, LOSS, DICE = "validation accuracy", "validation loss", "validation Dice of the U-Net"


def trial(dropout, accuracy=None, loss=None, dice=None, failure=""):
    figures = {ACCURACY: accuracy, LOSS: loss, DICE: dice}
    figures = {name: value for name, value in figures.items() if value is not None}
    return Trial({"train.dropout": dropout}, f"sweep-{dropout}", figures, failure)


def order(*trials):
    return [one.values["train.dropout"] for one in ranked(trials)]


def test_accuracy_ranks_then_a_low_loss_then_dice_and_failures_come_last():
    assert order(trial("a", failure="x"), trial("b", 0.5, 0.1), trial("c", 0.9, 2.0)) == ["c", "b", "a"]
    assert order(trial("a", 0.9, 0.5), trial("b", 0.9, 0.3)) == ["b", "a"]
    assert order(trial("a", 0.9, 0.3, 0.5), trial("b", 0.9, 0.3, 0.6)) == ["b", "a"]
    assert order(trial("a", 0.9, 0.3), trial("b", 0.9, 0.3)) == ["a", "b"]  # equals as the grid has them


def test_a_table_a_text_and_a_picture_are_written(tmp_path):
    trials = ranked([trial("0.2", 0.75, 0.9, 0.5), trial("0.4", 0.875, 0.7, 0.4), trial("9", failure="error | `x`")])
    write(tmp_path, trials, 8, True)
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table["train.dropout"]) == [0.4, 0.2, 9]
    assert list(table[ACCURACY][:2]) == [0.875, 0.75]
    assert table["failure"][2] == "error | `x`"
    text = (tmp_path / "sweep.md").read_text()
    assert text.startswith("# Sweep of 3 combinations, simulated data\n")
    assert "| 1 | `0.4` | 0.8750 | 0.7000 | 0.4000 | `sweep-0.4` |" in text
    assert "Test scores are left out on purpose" in text
    assert "One of the 8 validation images is 0.1250 of accuracy" in text
    assert "$ dvc exp branch sweep-0.4 my-branch" in text
    assert "## Failed: 1\n\n- `train.dropout=9`: error \\| `x`\n" in text
    assert (cv2.imread(str(tmp_path / "sweep.png"), 0) < 100).sum() > 500


def test_figures_that_say_nothing_are_said_to(tmp_path):
    write(tmp_path, [trial("0.2", 0.75, 0.9), trial("0.4", 0.75, 0.9)], None, False)
    text = (tmp_path / "sweep.md").read_text()
    assert "All figures are equal: these params do nothing that validation images can see." in text
    assert "different validation images, so that their figures cannot be compared" in text
    assert "simulated" not in text


def test_a_sweep_in_which_all_failed_has_no_winner(tmp_path):
    write(tmp_path, [trial("1", failure="x"), trial("2", failure="y")], None, False)
    text = (tmp_path / "sweep.md").read_text()
    assert "dvc exp branch" not in text
    assert "## Failed: 2" in text
    assert (tmp_path / "sweep.png").exists()
