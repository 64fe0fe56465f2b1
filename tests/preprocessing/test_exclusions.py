"""Images taken out by hand."""

import pandas as pd
import pytest

from brainmri.core.errors import InputError
from brainmri.preprocessing.exclusions import read_exclusions

KNOWN = pd.Series(["aaa", "bbb", "ccc"])


def read(tmp_path, text):
    (tmp_path / "exclude.csv").write_text(text, encoding="utf-8")
    return read_exclusions(tmp_path / "exclude.csv", KNOWN)


def test_the_committed_file_excludes_nothing():
    from pathlib import Path

    assert read_exclusions(Path(__file__).parents[2] / "exclude.csv", KNOWN) == {}


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_ids_and_reasons_are_read(tmp_path, start):
    text = f'{start}image_id,reason\nbbb, wrong label \n\naaa,"cut off, twice"\n'
    assert read(tmp_path, text) == {"bbb": "wrong label", "aaa": "cut off, twice"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "first line should be image_id,reason, received nothing"),
        ("id,why\n", "first line should be image_id,reason, received id,why"),
        ("image_id,reason\naaa\n", "line 2 should hold an image_id and a reason, received 'aaa'"),
        ("image_id,reason\naaa,\n", "line 2 should hold an image_id and a reason, received 'aaa,'"),
        ("image_id,reason\naaa,b,c\n", "received 'aaa,b,c'; put quotes"),
        ("image_id,reason\naaa,b\naaa,c\n", r"each image_id should stand once, received \['aaa'\]"),
        (
            "image_id,reason\nxxx,b\naaa,b\nyyy,b\n",
            r"received 2 that are not \(xxx, yyy\); ids are of one set of images only: take out these lines",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a readable CSV in UTF-8"):
        read_exclusions(tmp_path / "gone.csv", KNOWN)
    (tmp_path / "latin.csv").write_bytes(b"image_id,reason\naaa,\xff\n")
    with pytest.raises(InputError, match="not a readable CSV in UTF-8"):
        read_exclusions(tmp_path / "latin.csv", KNOWN)
