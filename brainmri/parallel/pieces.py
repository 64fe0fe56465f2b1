"""Do long work piece by piece: here, one after the other, or on a Dask cluster where one is named.

A function gets the arguments of a piece (paths, rows of a table, params; never pixels) and returns a small result, and
arrays by name. Here both are handed over in memory. On a cluster the result comes through the scheduler, the arrays
through a folder that all machines share. Pieces do not depend on the workers, and come back in their order: whoever
puts them together writes the same bytes either way.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

ADDRESS = "DASK_SCHEDULER_ADDRESS"  # the name that Dask itself gave it

Arrays = dict[str, np.ndarray]
R = TypeVar("R")


class Piece(NamedTuple):
    """One part of a long work."""

    args: tuple[Any, ...]  # of the function
    size: int  # how far it moves the progress bar
    reads: tuple[Path, ...] = ()  # files that the function reads: a worker has to see the same


def each_piece(
    function: Callable[..., tuple[R, Arrays]], pieces: Sequence[Piece], shared: Path, name: str, unit: str = "image"
) -> Iterator[tuple[R, Arrays]]:
    """Yield what a function returns of each piece, in the order of the pieces, under a progress bar.

    Parameters
    ----------
    function : callable
        A function of a module in `brainmri`; what a script defines is not known to a worker.
    pieces : sequence of Piece
    shared : Path
        An existing folder for the arrays of a cluster's workers, which its machines see under the same path. What is
        written there is removed again.
    name, unit : str
        What the work is called, and what its pieces are made of.

    Raises
    ------
    InputError
        If a cluster is named and cannot be used, or is lost.
    """
    address = os.environ.get(ADDRESS, "")
    done = _on_cluster(address, function, pieces, shared, name) if address and pieces else _here(function, pieces)
    total = sum(piece.size for piece in pieces)
    with closing(done), tqdm(desc=name, total=total, unit=unit, mininterval=1) as bar:
        for piece, found in zip(pieces, done, strict=True):
            bar.update(piece.size)
            yield found


def _here(
    function: Callable[..., tuple[R, Arrays]], pieces: Sequence[Piece]
) -> Generator[tuple[R, Arrays], None, None]:
    for piece in pieces:
        yield function(*piece.args)


def _on_cluster(
    address: str, function: Callable[..., tuple[R, Arrays]], pieces: Sequence[Piece], shared: Path, name: str
) -> Generator[tuple[R, Arrays], None, None]:
    from brainmri.parallel.cluster import on_cluster  # brings Dask, which only a cluster needs

    return on_cluster(address, function, pieces, shared, name)
