"""A Dask of a few lines, which computes in this process what it was sent: for tests where Dask is not installed."""

import pickle
import sys
from concurrent.futures import CancelledError
from types import SimpleNamespace

ADDRESS = "tcp://fake:8786"
LARGEST_TASK = 100_000  # bytes: a task holds paths, rows of a table and params, and never pixels


class KilledWorker(Exception):  # noqa: N818 (the name that Dask gave it)
    last_worker = SimpleNamespace(address="tcp://worker:1")


class Future:
    def __init__(self, sent, key):
        self.sent, self.key = sent, key

    def result(self, timeout):
        function, args = pickle.loads(self.sent)
        result = pickle.dumps(function(*args))
        assert len(result) < LARGEST_TASK
        return pickle.loads(result)


class Client:
    """Workers that are all there; `raising` may make them fail at one piece, and `workers` be none."""

    raising: "tuple[int, type[BaseException]] | None" = None
    workers = 2
    dashboard_link = "http://fake:8787/status"

    def __init__(self, address, timeout, set_as_default):
        if address != ADDRESS:
            raise OSError(f"Timed out trying to connect to {address}")
        self.asked = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait_for_workers(self, count, timeout):
        if self.workers < count:
            raise TimeoutError

    def nthreads(self):
        return {f"tcp://worker:{at}": 1 for at in range(self.workers)}

    def submit(self, function, *args, key, pure):
        sent = pickle.dumps((function, args))
        assert len(sent) < LARGEST_TASK
        self.asked += 1
        if self.raising and self.raising[0] == self.asked:
            return SimpleNamespace(key=key, result=self._fail)
        return Future(sent, key)

    def _fail(self, timeout):
        kind = self.raising[1]
        if kind is TimeoutError:
            type(self).workers = 0
        raise kind("scheduler-connection-lost" if kind is CancelledError else "")


def put_in_place(monkeypatch, raising=None, workers=2, address=ADDRESS):
    """Make `distributed` the one above, and name its address."""
    client = type("Client", (Client,), {"raising": raising, "workers": workers})
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=client, KilledWorker=KilledWorker))
    monkeypatch.setitem(sys.modules, "distributed.versions", SimpleNamespace(VersionMismatchWarning=UserWarning))
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
