"""The cases that the card begins with."""

from pathlib import Path

import pandas as pd
import pytest

from brainmri.reporting import model_card
from brainmri.reporting.documents import Picture, Table, Text


def predictions(answers):
    """Return a table of answers, each written as label and predicted class."""
    table = pd.DataFrame({"label": [a[0] for a in answers], "predicted": [a[1] for a in answers]})
    return table.assign(image_id=[f"i{at}" for at in range(len(table))], p_a=0.7, p_b=0.3, abstained=False)


def parts(blocks):
    """Return the sentence, the rows and the pictures of the section."""
    return (
        " ".join(block.text for block in blocks if isinstance(block, Text)),
        next(block.rows for block in blocks if isinstance(block, Table)),
        [block.path.name for block in blocks if isinstance(block, Picture)],
    )


@pytest.mark.parametrize(
    ("answers", "words", "rows"),
    [
        (["aa"] * 5, "None of the 5 answers on test images is wrong. Of the right ones, those of the lowest, of", 3),
        (["aa"] * 4 + ["ba"], "Of 5 answers on test images 1 is wrong, and shown here.", 4),
        (["aa"] * 4 + ["ba"] * 5, "Of 9 answers on test images 5 are wrong: here are the 3 of the highest", 6),
        (["ba"] * 2, "Of 2 answers on test images 2 are wrong, and shown here. None is right.", 2),
    ],
)  # fmt: skip
def test_the_cases_say_how_many_answers_are_wrong(answers, words, rows):
    said, shown, pictures = parts(model_card.first_cases(predictions(answers), None))
    assert words in said
    assert len(shown) == rows
    assert pictures == []


def test_a_case_has_its_label_answer_and_probability_and_its_picture_where_it_may_be_shown():
    table = predictions(["ba", "aa"]).assign(abstained=[True, False])
    _, rows, pictures = parts(model_card.first_cases(table, Path("cases.png")))
    assert rows == [["i0", "b", "a", "0.700", "wrong, abstained"], ["i1", "a", "a", "0.700", "right"]]
    assert pictures == ["cases.png"]
