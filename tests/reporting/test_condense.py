"""Rows and columns that repeat are said once, and nothing that differs is lost."""

from brainmri.reporting.condense import distinct_parts, equal_parts, table
from brainmri.reporting.documents import Table, Text


def test_parts_of_the_same_images_share_a_row():
    named = [("whole", [["9", "0.90"]]), ("twin-free", [["7", "0.80"]]), ("neighbour-free", [["7", "0.80"]])]
    assert equal_parts(named, counts=(0,)) == [
        ("whole", [["9", "0.90"]]),
        ("twin-free and neighbour-free: the same images", [["7", "0.80"]]),
    ]


def test_parts_of_other_images_with_equal_scores_share_a_row_that_has_both_counts():
    named = [("whole", [["9", "1.00"]]), ("twin-free", [["7", "1.00"]]), ("neighbour-free", [["7", "0.99"]])]
    assert equal_parts(named, counts=(0,)) == [
        ("whole and twin-free: equal scores", [["9, 7", "1.00"]]),
        ("neighbour-free", [["7", "0.99"]]),
    ]


def test_parts_that_differ_in_one_of_several_rows_stay_apart():
    a, b = [["glioma", "5", "0.9"], ["notumor", "5", "0.8"]], [["glioma", "5", "0.9"], ["notumor", "5", "0.7"]]
    assert equal_parts([("whole", a), ("twin-free", b)], counts=(1,)) == [("whole", a), ("twin-free", b)]


def test_a_column_that_never_differs_becomes_a_sentence():
    rows = [["train", "3", "L", "5"], ["test", "3", "L", "6"]]
    assert table("Facts", ["Split", "Images", "Mode", "SNR"], rows) == [
        Table("Facts", ["Split", "SNR"], [["train", "5"], ["test", "6"]]),
        Text("The same in every row: Images = 3; Mode = L."),
    ]


def test_a_table_of_one_row_or_of_equal_rows_stays_whole():
    for rows in ([["train", "3"]], [["train", "3"], ["test", "3"]]):
        assert table("Facts", ["Split", "Images"], rows) == [Table("Facts", ["Split", "Images"], rows)]


def test_a_part_is_another_one_where_it_has_fewer_images():
    found = {"whole": {"images": 9}, "twin_free": {"images": 9}, "neighbour_free": {"images": 7}, "ci95": {}}
    assert distinct_parts(found) == ["whole", "neighbour_free"]
