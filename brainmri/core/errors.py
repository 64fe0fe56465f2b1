"""What a user, a file or the machine can cause, and how a script ends on it: in a sentence, and with nothing left.

Each error is one sentence that says what, where, the rule and what was received.
"""

import errno
import os
import re
import reprlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn


class BrainMRIError(Exception):
    """Base of every error that is not a defect of this project."""


class ParamsError(BrainMRIError):
    """A section of `params.yaml` breaks a rule."""


class InputError(BrainMRIError):
    """A path, an archive, a table or an image given from outside cannot be used."""


class ArtifactError(BrainMRIError):
    """A file that another stage wrote is missing or does not fit."""


class TrainingError(BrainMRIError):
    """A training run went wrong in a way its params can mend."""


_short = reprlib.Repr()
_short.maxstring, _short.maxother, _short.maxlevel, _short.maxdict, _short.maxlist = 60, 60, 2, 3, 4


def shown(value: Any) -> str:
    """Return what was received as a sentence can hold it: on one line, long values cut in the middle."""
    try:
        return one_line(_short.repr(value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"a {type(value).__name__} too long to be written"


def one_line(said: Any, longest: int = 300) -> str:
    """Return what an error says, on one line."""
    text = " ".join(str(said).split())
    return text if len(text) <= longest else f"{text[:longest]} ..."


ROOM = "free some space or name another place, and run again"
RIGHTS = "give this user the right to it or name another place, and run again"
LIMITS = "close what is not needed or raise the limit (`ulimit -a`), and run again"
REMEDIES = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EFBIG: LIMITS,
    errno.EMFILE: LIMITS,
    errno.ENFILE: LIMITS,
    errno.EROFS: RIGHTS,
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EIO: "the disk or its connection fails; look at the system's log",
}
MEMORY = "with more memory, a higher limit (`ulimit -v`) or less at once (batch_size), run again"
_SCHEME = r"\b([A-Za-z][A-Za-z0-9+.-]+:/{1,2})"  # of a path made of an address one slash is left; `C:/` is none
_PASSWORD = re.compile(_SCHEME + r"[^/\s'\"]*@")  # user and password of an address
_QUERY = re.compile(
    _SCHEME + r"([^\s?'\"]*)\?[^\s'\"]*?(?=[:;,.]?(?:\s|['\"]|$))"
)  # what stands behind its path: signatures, tokens
_NO_MAP = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")  # a library, at its import


def exit_on_error(main: Callable[[], None]) -> None:
    """Run a script's `main`; turn what is no defect into one line on standard error and exit status 1.

    Those are the errors above, a disk or a memory that is full, and a right that is missing. On Ctrl-C and SIGTERM the
    status is that of the signal, and what was half written is removed.
    """
    try:
        with _sigterm_unwinds():
            main()
    except BaseException as error:
        if isinstance(error, SystemExit) or not (said := _sentence(error)):
            raise
        if isinstance(error, KeyboardInterrupt):
            print(f"error: {said}", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        sys.exit(f"error: {said}")


def _sentence(error: BaseException) -> str:
    """Return what to say of an error that is no defect; nothing for one that is."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    return without_secrets(str(error) if isinstance(error, BrainMRIError) else machine_fault(error))


def machine_fault(error: BaseException, where: object = "") -> str:
    """Return in a sentence what the machine lacked, at the error's own file or at `where`; nothing if it lacked none.

    OpenCV and TensorFlow have errors of their own for memory, which are told by name: this file imports neither.
    """
    if isinstance(error, OSError) and error.errno in REMEDIES:
        place = error.filename or where or "a file"
        reason = os.strerror(error.errno)
        return f"{place}: should be readable and writable, received: {reason}; {REMEDIES[error.errno]}"
    said = one_line(error, 200)
    memory = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    library = isinstance(error, ImportError) and any(words in said for words in _NO_MAP)
    theirs = type(error).__name__ == "ResourceExhaustedError" or "Insufficient memory" in said
    if memory or library or theirs:
        return f"{where or 'this step'}: should fit into memory, received: {said or type(error).__name__}; {MEMORY}"
    return ""


def without_secrets(text: str) -> str:
    """Return a text whose addresses name no user, no password and no query: those may be secret."""
    return _QUERY.sub(r"\1\2", _PASSWORD.sub(r"\1", text))


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end this process by an exception, so that temporary files are removed: they may hold scans."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, _unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    os.write(2, b"error: stopped by SIGTERM\n")  # printing might wait for what it has interrupted
    sys.exit(128 + number)


def begin_stage() -> None:
    """Make ready before a stage imports what takes seconds: its end is as in `exit_on_error` then too.

    A stage that DVC started ends with it: it would go on writing while the next run of DVC does.
    """
    if sys.argv[:1] != ["-m"]:  # imported, and not about to be run: that is what Python writes there before it finds it
        return
    sys.excepthook = _hook
    if sys.platform == "win32" or "DVC_STAGE" not in os.environ:
        return
    parent = os.getppid()
    if os.getsid(parent) != os.getsid(0):  # DVC was gone before this line: whoever takes orphans is of another session
        _end_as_orphan()
    threading.Thread(target=_watch, args=(parent,), name="watch DVC", daemon=True).start()


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if said := _sentence(error):
        print(f"error: {said}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    _end_as_orphan()


def _end_as_orphan() -> NoReturn:
    os.write(2, b"error: the DVC that started this stage is gone, so the stage ends as well; run `dvc repro` again\n")
    os._exit(1)
