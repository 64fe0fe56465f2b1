"""Take the steps of a network on the one replica that there is, or on several at the same time.

Of several, each takes its rows of each batch, in the order in which one process would have had them; losses are divided
by the whole batch, and gradients are added up.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from brainmri.core.errors import TrainingError
from brainmri.core.quiet_keras import keras, tf
from brainmri.learning import workers
from brainmri.learning.layers import Parts, fused, together, total


class Readable(Protocol):
    """Images and what they should be called, on disk."""

    def read(self, chosen: np.ndarray) -> tuple[Any, ...]:
        """Return inputs, targets and, optionally, the weight of each of the chosen rows."""


class Alone:
    """A model on the one replica that there is: Keras's own steps."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        model.optimizer.build(model.trainable_variables)

    def agree(self, resume: Path) -> None:
        """Do nothing: nobody else has a checkpoint."""

    def learning(self) -> AbstractContextManager[None]:
        """Lend the layers what they learn with."""
        return fused(self.model)

    def learn(self, batches: Readable, chosen: np.ndarray) -> dict[str, float]:
        """Take a training step on rows of `batches`; return loss and metrics."""
        return self.model.train_on_batch(*batches.read(chosen), return_dict=True)

    def check(self, batches: Readable, chosen: np.ndarray) -> dict[str, float]:
        """Return loss and metrics of rows of `batches`."""
        return self.model.test_on_batch(*batches.read(chosen), return_dict=True)


class Together:
    """A model on several replicas, of this process and of others, which take the same steps at the same time."""

    def __init__(self, model: keras.Model) -> None:
        self.model, self.strategy, self.team = model, model.distribute_strategy, workers.team()
        self.count = self.strategy.num_replicas_in_sync
        own = self.count // (len(self.team.addresses) if self.team else 1)
        self.first = own * (self.team.place if self.team else 0)  # of this process's replicas among all
        self.last = self.first + own
        self.parts = Parts()
        self.names: list[str] = []  # of the figures
        self.steps: dict[bool, Callable[..., Any]] = {}
        with self.strategy.scope():
            model.optimizer.build(model.trainable_variables)
            answer = np.full((1, *model.output_shape[1:]), 0.5, np.float32)
            model.compute_metrics(None, answer, answer)  # makes their variables, which no traced step may

    def agree(self, resume: Path) -> None:
        """Require that all workers learn the same from the same, and hand the chief's checkpoint to the others.

        Raises
        ------
        TrainingError
            If a worker's code, versions, params or data, which the name of `resume` rests on, are not the chief's.
        """
        if self.team is None:
            return
        names = np.zeros(len(self.team.addresses), np.int64)
        names[self.team.place] = int(hashlib.sha256("/".join(resume.parts[-2:]).encode()).hexdigest()[:12], 16)
        names = self._sum(names)
        for place, name in enumerate(names):
            if name != names[0]:
                raise TrainingError(
                    f"training on {len(names)} workers: code, versions, params and data should be the chief's, "
                    f"received others from worker {place} ({self.team.addresses[place]}); bring it to the chief's "
                    "commit, and the data there"
                )
        received = self._chiefs(_packed(resume) if self.team.place == 0 else b"")
        if self.team.place:
            zipfile.ZipFile(io.BytesIO(received)).extractall(resume)

    def _chiefs(self, content: bytes) -> bytes:
        """Return the chief's `content` on every worker; that of the others is nothing."""
        size = int(self._sum(np.array([len(content)], np.int64))[0])
        words = np.zeros(-(-size // 4), np.int32)
        words.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
        return self._sum(words).tobytes()[:size]

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(values), axis=None).numpy()

    def learning(self) -> AbstractContextManager[None]:
        """Lend the layers what they learn with."""
        return together(self.model, self.parts)

    def learn(self, batches: Readable, chosen: np.ndarray) -> dict[str, float]:
        """Take a training step on rows of `batches`, of which this process reads its own; return loss and metrics."""
        return self._take(batches, chosen, learning=True)

    def check(self, batches: Readable, chosen: np.ndarray) -> dict[str, float]:
        """Return loss and metrics of rows of `batches`, of which this process reads its own."""
        return self._take(batches, chosen, learning=False)

    def _take(self, batches: Readable, chosen: np.ndarray, learning: bool) -> dict[str, float]:
        bounds = shares(len(chosen), self.count)
        own = chosen[bounds[self.first] : bounds[self.last]]
        batch = batches.read(own if len(own) else chosen[:1])  # kernels want a row; it counts for nothing
        if learning not in self.steps:
            self.steps[learning] = self._step(batch, learning)
        given = self.steps[learning](batch, bounds)
        figures = self.strategy.experimental_local_results(given)[0].numpy()
        return dict(zip(self.names, figures.tolist(), strict=True))

    def _step(self, batch: tuple[Any, ...], learning: bool) -> Callable[..., Any]:
        """Return a step as one graph for all lengths: a worker that traced one alone would wait for the others'."""
        specs = keras.tree.map_structure(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batch)

        def step(batch: tuple[Any, ...], bounds: Any) -> Any:
            self.parts.bounds = bounds
            return self.strategy.run(partial(self._replica, learning=learning), args=(batch,))

        return tf.function(step, input_signature=(specs, tf.TensorSpec((self.count + 1,), tf.int32)))

    def _replica(self, batch: tuple[Any, ...], learning: bool) -> Any:
        inputs, true, *weights = self._own(batch)
        weight = self.parts.weight()
        with tf.GradientTape() as tape:
            answer = self.model(inputs, training=learning)
            loss = self.model.compute_loss(inputs, true, answer, *weights, training=learning)
            loss = loss * self.count * weight  # Keras divides by the replicas, as if each had equally many rows
        if learning:
            variables = self.model.trainable_variables
            self.model.optimizer.apply(tape.gradient(loss, variables), variables)
        figures = {"loss": loss} | {name: value * weight for name, value in self._metrics(true, answer)}
        self.names = sorted(figures)
        return total(tf.stack([figures[name] for name in self.names]))

    def _own(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the part of a replica of what its process has read."""
        if self.last - self.first == 1:
            return batch
        start, end = (row - self.parts.bounds[self.first] for row in self.parts.own())
        start = tf.minimum(start, tf.shape(batch[1])[0] - 1)
        return keras.tree.map_structure(lambda array: array[start : tf.maximum(end, start + 1)], batch)

    def _metrics(self, true: Any, answer: Any) -> Iterator[tuple[str, Any]]:
        for metric in self.model.metrics:
            if metric.name != "loss":
                state = metric.stateless_update_state(metric.stateless_reset_state(), true, answer)
                yield from metric.stateless_result(state).items()


def of(model: keras.Model) -> Alone | Together:
    """Return what takes the steps of a model, on the replicas that it was built for."""
    return Together(model) if workers.several() else Alone(model)


def shares(rows: int, replicas: int) -> np.ndarray:
    """Return (replicas + 1,) where each replica's part of so many rows begins: in their order, as equal as can be."""
    return (np.arange(replicas + 1) * rows // replicas).astype(np.int32)


def _packed(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder))
    return file.getvalue()
