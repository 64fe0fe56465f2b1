"""Work in pieces: the same here and on a cluster, whatever becomes of that; Dask itself is not needed."""

import sys
from concurrent.futures import CancelledError

import fake_dask
import numpy as np
import pytest
import small_pieces

from brainmri.core.errors import ArtifactError, InputError
from brainmri.parallel.pieces import Piece, each_piece

PIECES = [Piece((at, at + 3), 3) for at in range(0, 60, 3)]


def results(shared, function=small_pieces.squares, pieces=PIECES):
    return [(found, arrays["squares"].tolist()) for found, arrays in each_piece(function, pieces, shared, "squares")]


def test_results_come_in_the_order_of_the_pieces(tmp_path):
    assert results(tmp_path)[:2] == [(0 + 1 + 2, [0, 1, 4]), (3 + 4 + 5, [9, 16, 25])]


def test_a_cluster_gives_the_same_and_leaves_nothing_behind(tmp_path, monkeypatch):
    here = results(tmp_path)
    fake_dask.put_in_place(monkeypatch)
    assert results(tmp_path) == here
    assert not list(tmp_path.iterdir())


def test_arrays_keep_type_and_shape_on_the_way(tmp_path, monkeypatch):
    fake_dask.put_in_place(monkeypatch)
    [(_, arrays)] = each_piece(small_pieces.squares, [Piece((0, 0), 0)], tmp_path, "none")
    assert arrays["squares"].shape == (0,)
    assert arrays["squares"].dtype == np.int64


def test_nothing_to_do_asks_no_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://nowhere:1")
    assert results(tmp_path, pieces=[]) == []


def test_a_cluster_without_dask_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://nowhere:1")
    with pytest.raises(InputError, match="needs the extra `cluster`, received an environment without it"):
        results(tmp_path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"address": "tcp://nowhere:1"}, "tcp://nowhere:1: the Dask scheduler .* should answer, received Timed out"),
        ({"workers": 0}, "the cluster should have a worker, received none in 30 s; start one with `dask worker"),
        ({"raising": (3, CancelledError)}, "scheduler .* should answer, received scheduler-connection-lost"),
        ({"raising": (3, TimeoutError)}, "the cluster should have a worker, received none"),  # the last one left
        ({"raising": (3, fake_dask.KilledWorker)}, "received squares-.*-2 that ended several workers, .* tcp://worker"),
        ({"raising": (3, ImportError)}, "received a worker that cannot load the work"),
    ],
)
def test_what_becomes_of_a_cluster_is_one_sentence(tmp_path, monkeypatch, setting, message):
    fake_dask.put_in_place(monkeypatch, **setting)
    with pytest.raises(InputError, match=message):
        results(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_function_refuses_comes_as_it_is(tmp_path, monkeypatch):
    with pytest.raises(ArtifactError, match="pieces: should be there, received none from 0 on"):
        results(tmp_path, small_pieces.refused)
    fake_dask.put_in_place(monkeypatch)
    with pytest.raises(ArtifactError, match="pieces: should be there, received none from 0 on"):
        results(tmp_path, small_pieces.refused)
