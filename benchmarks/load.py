"""Load on the API over loopback: how long an answer takes with 1, 8 and 32 clients at once, and with too many.

    python -m benchmarks.load . --seconds 10

The first argument is a project's folder with trained models. Each client sends a simulated slice, waits for the
answer, and sends the next. Beside it: what the networks would gain if waiting requests were put into one batch.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from app.examples import example_slice
from benchmarks.common import machine, table

CLIENTS = (1, 8, 32, 64)
PORT = 8765


@contextlib.contextmanager
def server(root: Path) -> Iterator[str]:
    """Run the API on loopback for the length of a `with`; give its address."""
    command = [sys.executable, "-m", "uvicorn", "app.api:api", "--port", str(PORT), "--log-level", "warning"]
    process = subprocess.Popen(command, env=os.environ | {"BRAINMRI_ROOT": str(root.absolute())})
    try:
        address = f"http://127.0.0.1:{PORT}"
        for _ in range(240):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/ready").is_success:
                    break
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def load(address: str, clients: int, seconds: float, scan: tuple[str, bytes]) -> list[str]:
    """Return a row: what clients at once got within some seconds."""
    statuses: Counter[int] = Counter()
    spent: list[float] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        with httpx.Client(timeout=60) as client:
            while time.perf_counter() < end:
                start = time.perf_counter()
                status = client.post(f"{address}/predict", files={"file": scan}).status_code
                statuses[status] += 1
                if status == 200:
                    spent.append(time.perf_counter() - start)
                else:
                    time.sleep(0.2)  # a client that was turned away waits, if only a little

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = (f"{1000 * np.percentile(spent, share):.0f}" for share in (50, 99))
    away = sum(statuses.values()) - statuses[200]
    others = ", ".join(f"{count} of {status}" for status, count in sorted(statuses.items()) if status not in (200, 503))
    return [str(clients), f"{statuses[200] / seconds:.1f}", p50, p99, str(away), others or "none"]


def batching(root: Path, scan: tuple[str, bytes]) -> list[list[str]]:
    """Return rows: seconds of the networks an image, by how many images are answered for at once."""
    from brainmri.models.classifier import class_probabilities
    from brainmri.prediction.answer import prepared
    from brainmri.prediction.inputs import read_one
    from brainmri.prediction.trained_models import load_models
    from brainmri.segmentation.methods import outline

    models = load_models(root / "models/classifier", root / "models/unet", root / "params.yaml")
    image, facts = prepared(read_one(scan), models.image_params)
    rows = []
    for size in (1, 2, 4, 8):
        images, spent = np.repeat(image, size, axis=0), []
        for _ in range(20):
            start = time.perf_counter()
            class_probabilities(models.classifier, images, facts.iloc[[0] * size])
            if models.tools.unet is not None:
                outline("unet", images, models.tools)
            spent.append((time.perf_counter() - start) / size)
        rows.append([str(size), f"{1000 * np.median(spent[2:]):.1f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a project's folder, with trained models")
    parser.add_argument("--seconds", type=float, default=10, help="for each number of clients (default: 10)")
    args = parser.parse_args()
    scan = example_slice(1, 1)
    with server(args.root) as address:
        load(address, 2, 2, scan)
        rows = [load(address, clients, args.seconds, scan) for clients in CLIENTS]
    header = ["clients", "answers a second", "p50, ms", "p99, ms", "turned away (503)", "anything else"]
    print(f"`python -m benchmarks.load . --seconds {args.seconds:g}`, on {machine()}\n\n{table(header, rows)}")
    print(table(["images at once", "networks, ms an image"], batching(args.root, scan)))


if __name__ == "__main__":
    main()
