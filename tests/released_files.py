"""Archives of released models, made by hand of any files, and a server for them on loopback."""

import hashlib
import http.server
import io
import json
import threading
import zipfile
from contextlib import contextmanager
from functools import partial


def network(size=10):
    """Return what looks like a Keras file from outside."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(zipfile.ZipInfo("model.weights.h5"), bytes(size), zipfile.ZIP_DEFLATED)
    return place.getvalue()


def files(**changes):
    """Return the files of a released model by name; `None` leaves one out."""
    own = {
        "release.json": json.dumps({"format": 1}).encode(),
        "classifier/model.keras": network(),
        "classifier/preprocess.json": b"{}",
        "unet/model.keras": network(),
        "params.yaml": b"segment: {}\n",
    } | changes
    return {name: data for name, data in own.items() if data is not None}


def sums(members):
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()).encode()


def write(path, members, listed=None):
    """Write an archive with its list of checksums; return its own."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("SHA256SUMS", sums(members) if listed is None else listed)
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """Serve a folder for reading over HTTP; give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
