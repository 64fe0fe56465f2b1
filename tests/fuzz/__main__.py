"""Fuzz the reading of outside files: `PYTHONPATH=tests python -m fuzz SECONDS [TARGET...]`, or `make fuzz SECONDS=60`.

With `led` before them atheris (`pip install atheris`; it is no dependency) chooses the changes by which code they
reach; without, they are drawn at random. What breaks the rule, takes over 10 seconds, or more memory than the bound,
is written to `fuzz-<target>-<digits>` in the working folder, with its reason on standard error.
"""

import faulthandler
import hashlib
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fuzz.targets import TARGETS, Read, judge

LIMIT_S, LIMIT_BYTES = 10, 3 * 2**30


def changed(seed: bytes, draw: random.Random) -> bytes:
    """Return bytes with some changed, cut out, put in, doubled, or whole words of 16 and 32 bits set."""
    data = bytearray(seed)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at, way = draw.randrange(len(data) + 1), draw.randrange(6)
        if way == 0:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif way == 1:
            del data[at : at + draw.choice((1, 2, 4, 16, 1000))]
        elif way == 2:
            data[at:at] = bytes(draw.randrange(256) for _ in range(draw.choice((1, 2, 8))))
        elif way == 3:
            word = draw.choice(
                (
                    b"\0\0",
                    b"\xff\xff",
                    b"\x7f\xff",
                    b"\xff\x7f",
                    b"\0\0\0\0",
                    b"\xff\xff\xff\x7f",
                    b"-1",
                    b"99999",
                    b"nan",
                )
            )
            data[at : at + len(word)] = word
        elif way == 4:
            other = draw.randrange(len(data) + 1)
            data[at:at] = data[other : other + draw.choice((4, 32, 300))]
        else:
            data = data[:at]
    return bytes(data)


def drawn(seeds: list[bytes], seconds: float) -> Iterator[bytes]:
    """Yield changed seeds for so many seconds of this process."""
    draw, end = random.Random(0), time.process_time() + seconds
    while time.process_time() < end:
        yield changed(draw.choice(seeds), draw)


def tried(name: str, read: Read, data: bytes) -> bool:
    """Read; write the bytes and say why where the rule is broken."""
    started, reason = time.process_time(), ""
    try:
        judge(read, data)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    if time.process_time() - started > LIMIT_S:
        reason = f"took {time.process_time() - started:.0f} s"
    if reason:
        path = Path(f"fuzz-{name}-{hashlib.sha256(data).hexdigest()[:8]}")
        path.write_bytes(data)
        print(f"{path}: {reason[:300]}", file=sys.stderr, flush=True)
    return not reason


def led(name: str, read: Read, seeds: list[bytes], seconds: float) -> None:
    """Let atheris choose the changes; it ends the process."""
    import tempfile

    import atheris

    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as folder:
        for at, seed in enumerate(seeds):
            Path(folder, str(at)).write_bytes(seed)
        atheris.Setup(
            [sys.argv[0], f"-max_total_time={seconds:.0f}", "-rss_limit_mb=4096", "-timeout=30", folder],
            lambda data: tried(name, read, data),
        )
        atheris.Fuzz()


def main() -> None:
    """Read the command line: seconds, and targets; `led` first lets atheris lead, of one target."""
    words = sys.argv[1:]
    with_atheris = words[:1] == ["led"]
    seconds, *names = words[with_atheris:]
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES + 2**31,) * 2) if not with_atheris else None
    broken = 0
    for name in names or TARGETS:
        read, seeds = TARGETS[name]
        if with_atheris:
            led(name, read, seeds, float(seconds))
        outcomes = [tried(name, read, data) for data in drawn(seeds, float(seconds))]
        broken += outcomes.count(False)
        print(f"{name}: {len(outcomes)} tried in {seconds} s, {outcomes.count(False)} broke the rule", flush=True)
    sys.exit(int(broken > 0))


if __name__ == "__main__":
    main()
