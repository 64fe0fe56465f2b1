"""Run every benchmark, each in a process of its own, and write RESULTS.md."""

import subprocess
import sys
from pathlib import Path

from benchmarks.common import machine

HERE = Path(__file__).parent


def main() -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    parts = [
        "# Benchmarks\n",
        f"Written by `make bench`, after commit {commit.strip()}, on {machine()}.\n",
        "CPU seconds of all threads; the sides in turns in one run; medians over rounds, ranges in brackets.\n",
    ]
    for script in sorted(HERE.glob("bench_*.py")):
        print(f"{script.stem} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{script.stem}", *sys.argv[1:]]
        parts.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        # After each, so that what was measured is kept if a later one fails.
        (HERE / "RESULTS.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
