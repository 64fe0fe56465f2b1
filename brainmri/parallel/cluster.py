"""Pieces of work on a Dask cluster: whatever becomes of it, a run ends with the right bytes or with a sentence."""

import logging
import tempfile
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from brainmri.core.errors import InputError, one_line
from brainmri.parallel import worker

if TYPE_CHECKING:
    from distributed import Client, Future

    from brainmri.parallel.pieces import Piece

PATIENCE_S = 30  # for a scheduler or a worker to be there
AHEAD = 4  # pieces that each thread of the workers has waiting: what is done and not yet fetched lies on the disk


def on_cluster(
    address: str, function: Callable[..., Any], pieces: Sequence["Piece"], shared: Path, name: str
) -> Generator[tuple[Any, dict[str, np.ndarray]], None, None]:
    """Yield what a function returns of each piece, as `pieces.each_piece` does; the workers at `address` compute it."""
    with (
        _connected(address) as client,
        tempfile.TemporaryDirectory(dir=shared.absolute(), prefix=".parts-", ignore_cleanup_errors=True) as folder,
    ):
        parts, run = Path(folder), uuid.uuid4().hex[:8]
        ahead = AHEAD * _threads(client, address, name)
        waiting: deque[Future] = deque()
        for number, piece in enumerate(pieces):
            waiting.append(_asked(client, function, piece, parts, f"{name.replace(' ', '_')}-{run}-{number}"))
            if len(waiting) >= ahead:
                yield _fetched(client, waiting.popleft(), parts, address)
        while waiting:
            yield _fetched(client, waiting.popleft(), parts, address)


@contextmanager
def _connected(address: str) -> Iterator["Client"]:
    try:
        import distributed
        from distributed.versions import VersionMismatchWarning
    except ImportError:
        raise InputError(
            "DASK_SCHEDULER_ADDRESS names a cluster, which needs the extra `cluster`, received an environment without "
            "it; install brainmri[cluster], or unset the variable to work on this machine"
        ) from None
    # What it would say when the cluster fails, in many lines, the errors here say in one.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VersionMismatchWarning)  # `worker.refuse_other_software` is stricter
        try:
            client = distributed.Client(address, timeout=PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(_lost(address, error)) from None
    with client:
        yield client


def _threads(client: "Client", address: str, name: str) -> int:
    """Wait for a first worker; return the number of threads of all, and say where they can be watched."""
    try:
        _wait_for_a_worker(client, address)
        threads = client.nthreads()
    except (CancelledError, OSError) as error:
        raise InputError(_lost(address, error)) from None
    tqdm.write(f"{name}: on {len(threads)} workers of {address}, to be watched at {client.dashboard_link}")
    return sum(threads.values())


def _wait_for_a_worker(client: "Client", address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except TimeoutError:
        raise InputError(
            f"{address}: the cluster should have a worker, received none in {PATIENCE_S} s; start one with "
            f"`dask worker {address}`, then run again"
        ) from None


def _asked(client: "Client", function: Callable[..., Any], piece: "Piece", parts: Path, key: str) -> "Future":
    args = tuple(arg.absolute() if isinstance(arg, Path) else arg for arg in piece.args)
    expected = worker.software()
    return client.submit(worker.work, function, args, worker.stamps(piece.reads), parts, expected, key=key, pure=False)


def _fetched(client: "Client", future: "Future", parts: Path, address: str) -> tuple[Any, dict[str, np.ndarray]]:
    result, name = _result(client, future, address)
    with np.load(parts / name, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    (parts / name).unlink()
    return result, arrays


def _result(client: "Client", future: "Future", address: str) -> tuple[Any, str]:
    """Return a result as soon as it is there; a worker that is lost has its pieces done by another."""
    from distributed import KilledWorker

    while True:
        try:
            return future.result(timeout=PATIENCE_S)
        except KilledWorker as error:
            raise InputError(
                f"{address}: a piece of work should end, received {future.key} that ended several workers, the last "
                f"{error.last_worker.address}; look into their logs, the likeliest reason is too little memory"
            ) from None
        except TimeoutError:
            _alive(client, address)
        except (CancelledError, OSError) as error:
            raise InputError(_lost(address, error)) from None
        except (ImportError, AttributeError) as error:
            raise InputError(
                "each worker of the cluster should run the software of the process that asks, received a worker that "
                f"cannot load the work ({error}); install the same commit from the same lock there"
            ) from None


def _alive(client: "Client", address: str) -> None:
    """Raise `InputError` where scheduler or workers are gone."""
    try:
        _wait_for_a_worker(client, address)
    except (CancelledError, OSError) as error:
        raise InputError(_lost(address, error)) from None


def _lost(address: str, error: BaseException) -> str:
    return (
        f"{address}: the Dask scheduler that DASK_SCHEDULER_ADDRESS names should answer, received "
        f"{one_line(error) or type(error).__name__}; see whether it runs, then run again, or unset the "
        "variable to work on this machine"
    )
