"""Join the workers that learn one network together: machines with `TF_CONFIG` set, or the GPUs of one.

How to start them: docs/workers.md.
"""

import faulthandler
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from brainmri.core.errors import InputError, TrainingError, one_line
from brainmri.core.quiet_keras import keras, tf

WAIT = "BRAINMRI_WORKERS_WAIT_S"  # how long workers wait for one another at the start; 600
LOST = "BRAINMRI_WORKERS_LOST_S"  # how long a worker may give no sign of life; 60
LOST_ERRORS = (  # and no others: what a worker itself did wrong, such as too little memory, keeps its own words
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
LOST_TASK = re.compile(r"(?:unhealthy|Error reported from|remote target)[^/]*/job:(\w+)/(?:replica:\d+/)?task:(\d+)")
# Of this process. Not TensorFlow's own scope about everything: Keras's clear_session drops that.
_strategy: ContextVar[Any] = ContextVar("strategy", default=None)


class Team(NamedTuple):
    """The workers that learn together."""

    jobs: dict[str, list[str]]  # addresses
    addresses: list[str]  # all of them; the first is the chief's
    place: int  # of this process among them


def team() -> Team | None:
    """Return the workers that `TF_CONFIG` names; None where it is not set, or names this process alone.

    Raises
    ------
    InputError
        If it is not of the form that `tf.distribute` takes.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs, task, index = config["cluster"], config["task"]["type"], int(config["task"]["index"])
        addresses = [str(address) for name in ("chief", "worker") for address in jobs.get(name, [])]
        right = set(jobs) <= {"chief", "worker"} and len(jobs.get("chief", [])) <= 1
        if not right or not 0 <= index < len(jobs[task]):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            'TF_CONFIG: should be JSON such as {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": '
            f'"worker", "index": 0}}}}, with workers and at most one chief, received {text}; see docs/workers.md'
        ) from None
    place = index + (len(jobs.get("chief", [])) if task == "worker" else 0)
    return Team(jobs, addresses, place) if len(addresses) > 1 else None


@contextmanager
def joined(out: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    """Join the other workers for the block, where there are any; give the places to write an output and a checkpoint.

    The chief, and who is alone, writes to `out` and `root`; the other workers to a temporary folder.

    Raises
    ------
    TrainingError
        If other workers do not come or are lost.
    """
    mine = team()
    with _failures_in_words(mine):
        token = _strategy.set(_joined_strategy(mine))
        try:
            if mine is None or mine.place == 0:
                yield out, root
            else:
                with TemporaryDirectory() as folder:
                    yield Path(folder) / out.name, Path(folder)
        finally:
            _strategy.reset(token)


def _joined_strategy(mine: Team | None) -> Any:
    if mine is not None:
        _wait_for_others(mine)
        _set_patience(mine)
        # Who comes and is gone at once would be waited for for ever: an end without words is better than none.
        faulthandler.dump_traceback_later(_seconds(WAIT, 600) + _seconds(LOST, 60), exit=True)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        strategy.reduce(tf.distribute.ReduceOp.SUM, tf.zeros(1), axis=None)  # which all have to come for
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # TensorFlow has just taken it, and would not end for it
        return strategy
    return tf.distribute.MirroredStrategy() if len(tf.config.list_physical_devices("GPU")) > 1 else None


def _set_patience(mine: Team) -> None:
    """Set how long workers wait for one another; TensorFlow has no public setting for it."""
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    job = coordination_config_pb2.CoordinatedJob
    context.context().configure_coordination_service(
        "standalone",
        service_leader=f"/job:{'chief' if mine.jobs.get('chief') else 'worker'}/replica:0/task:0",
        cluster_register_timeout_in_ms=_seconds(WAIT, 600) * 1000,
        heartbeat_timeout_in_ms=_seconds(LOST, 60) * 1000,
        shutdown_barrier_timeout_in_ms=_seconds(LOST, 60) * 1000,
        coordinated_jobs=[job(name=name, num_tasks=len(hosts)) for name, hosts in sorted(mine.jobs.items())],
    )


def _wait_for_others(mine: Team) -> None:
    """Wait until the others answer: TensorFlow's chief would wait for ever, with Python's lock in its hand."""
    wait = _seconds(WAIT, 600)
    end = time.monotonic() + wait
    others = mine.addresses[1:] if mine.place == 0 else []  # whose own wait for the chief ends
    while absent := [address for address in others if not _answers(address)]:
        if time.monotonic() > end:
            raise TrainingError(
                f"training on {len(mine.addresses)} workers: all should come within {wait} s ({WAIT}), the chief "
                f"({mine.addresses[0]}) received nothing from {', '.join(absent)}; start all of them again"
            )
        time.sleep(0.5)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return True
    except (OSError, ValueError):
        return False


def _seconds(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{name}: should be a whole number of seconds, at least 1, received {text}")
    return int(text)


@contextmanager
def _failures_in_words(mine: Team | None) -> Iterator[None]:
    try:
        yield
    except LOST_ERRORS as error:
        if mine is None:
            raise
        raise TrainingError(
            f"training on {len(mine.addresses)} workers: all should come within {_seconds(WAIT, 600)} s and stay to "
            f"the end, worker {mine.place} ({mine.addresses[mine.place]}) received: {_reason(mine, str(error))}; start "
            "all of them again with the same commands, and they go on after the last epoch that the chief has kept"
        ) from error


def _reason(mine: Team, error: str) -> str:
    """Return in words who was lost, or what else TensorFlow has to say."""
    if found := LOST_TASK.search(error):
        lost = mine.jobs[found[1]][int(found[2])]
        return f"no sign of life from worker {mine.addresses.index(lost)} ({lost})"
    return one_line(error)


def scope() -> AbstractContextManager[Any]:
    """Return the context in which a model for this process's replicas is built."""
    strategy = _strategy.get()
    return nullcontext() if strategy is None else strategy.scope()


def several() -> bool:
    """Whether networks are built for several replicas now."""
    return _strategy.get() is not None


def provenance() -> dict[str, int]:
    """Return how many replicas learn, where several do: the last bits of a model depend on it."""
    return {"replicas": _strategy.get().num_replicas_in_sync} if several() else {}


def apart(model: keras.Model) -> keras.Model:
    """Return a model that answers without the other replicas: where there are any, a copy of it."""
    if not several():
        return model
    copy = keras.models.clone_model(keras.Model(model.input, model.output, name=model.name))  # not how it is compiled
    copy.set_weights(model.get_weights())
    return copy
