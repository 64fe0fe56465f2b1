"""Downloads through Kaggle's client, against a server on this machine that behaves well, badly or breaks off."""

import errno
import gc
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kagglehub import http_resolver
from kagglesdk import kaggle_env

from brainmri.core.errors import InputError
from brainmri.sources import kaggle

# Kaggle's client leaves sockets to the garbage collector; the fixture collects them before the next test.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

HANDLE = "somebody/some-set/versions/3"
FILES = {f"Training/glioma/Tr-gl_{n}.jpg": bytes([n]) * 70_000 for n in range(40)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@dataclass
class FakeKaggle:
    """What the server answers, and what it was asked."""

    url: str = ""
    status: int = 200
    archive: bytes = field(default_factory=lambda: zipped(FILES))
    sent_at_most: int = 10**9  # bytes of the archive after which the connection is cut
    asked: list[str] = field(default_factory=list)


def handler(state: FakeKaggle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            state.asked.append(f"POST {self.path}")
            self.send_response(302 if state.status == 200 else state.status)
            if state.status == 200:
                self.send_header("Location", "/file.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            state.asked.append(f"GET {start}")
            body = state.archive[start:]
            self.send_response(206 if start else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.sent_at_most])

    return Handler


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[FakeKaggle]:
    state = FakeKaggle()
    web = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{web.server_address[1]}"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, state.url)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "none"))  # an account of the developer plays no part
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    yield state
    web.shutdown()
    web.server_close()
    thread.join()
    gc.collect()


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dataset_is_downloaded_once(server, capfd):
    folder = kaggle.download(HANDLE)
    assert files_below(folder) == FILES
    assert server.asked == ["POST /v1/datasets.DatasetApiService/DownloadDataset", "GET 0"]
    assert kaggle.download(HANDLE) == folder
    assert len(server.asked) == 2  # the second time comes from the cache
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("told", ["environment", "file"])
@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_the_key_of_an_account_is_never_shown_and_not_stored(
    server, tmp_path, monkeypatch, capfd, caplog, told, status
):
    if told == "environment":
        monkeypatch.setenv("KAGGLE_USERNAME", "me")
        monkeypatch.setenv("KAGGLE_KEY", "hunter2")
    else:
        (tmp_path / "none").mkdir()
        (tmp_path / "none/kaggle.json").write_text('{"username": "me", "key": "hunter2"}')
    server.status, server.sent_at_most = status, 2_500_000
    with pytest.raises(InputError, match="somebody/some-set/versions/3: ") as error:
        kaggle.download(HANDLE)
    said = "".join([str(error.value), *capfd.readouterr(), caplog.text, *server.asked])
    assert "hunter2" not in said
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


def test_a_broken_download_is_one_sentence_and_continues_where_it_stopped(server):
    server.sent_at_most = 2_500_000
    with pytest.raises(InputError, match=r"broke off .* run again \(what has arrived is kept"):
        kaggle.download(HANDLE)
    server.sent_at_most = 10**9
    assert files_below(kaggle.download(HANDLE)) == FILES
    assert server.asked[-1] == f"GET {2 * 2**20}"  # the client writes whole MiB


def test_a_damaged_archive_is_removed_so_that_the_next_run_starts_anew(server):
    whole = server.archive
    server.archive = whole[:-30] + bytes(30)
    with pytest.raises(InputError, match="arrived damaged and was removed; run again"):
        kaggle.download(HANDLE)
    server.archive = whole
    assert files_below(kaggle.download(HANDLE)) == FILES


def test_an_interrupted_unpacking_leaves_no_half_set(server, monkeypatch):
    def interrupted(archive_path, out_path):
        Path(out_path).mkdir(parents=True)
        (Path(out_path) / "half.jpg").write_bytes(b"")
        raise KeyboardInterrupt("stopped by hand")

    with monkeypatch.context() as patch:
        patch.setattr(http_resolver, "_extract_archive", interrupted)
        with pytest.raises(KeyboardInterrupt, match="stopped by hand"):
            kaggle.download(HANDLE)
    found = files_below(kaggle.download(HANDLE))
    assert found.items() >= FILES.items()  # not taken for complete: unpacked again


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, r"no such dataset or version \(HTTP 404\); look up owner, name and version"),
        (401, r"without an account or consent \(HTTP 401\); accept its terms .* KAGGLE_API_TOKEN"),
        (403, r"without an account or consent \(HTTP 403\); accept its terms .* KAGGLE_API_TOKEN"),
        (500, r"answered with an error \(HTTP 500\); run again later"),
        (503, r"answered with an error \(HTTP 503\); run again later"),
    ],
)
def test_a_refusal_says_what_to_do(server, status, sentence):
    server.status = status
    with pytest.raises(InputError, match=rf"{HANDLE}: .*{sentence}.* fetch.source=local") as caught:
        kaggle.download(HANDLE)
    assert "\n" not in str(caught.value)


def test_without_a_connection_the_sentence_names_the_way_by_hand(server, monkeypatch):
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"connection to Kaggle failed .*ConnectionError.* fetch.source=local"):
        kaggle.download(HANDLE)


def test_a_full_disk_names_the_cache_folder(server, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(http_resolver, "_extract_archive", full)
    with pytest.raises(
        InputError, match=r"cannot be stored in .*cache: No space left on device; free space or set KAGGLE"
    ):
        kaggle.download(HANDLE)


def test_a_broken_settings_file_of_the_client_is_named(server, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "kaggle.json").write_text("{}")
    with pytest.raises(InputError, match=r"client refuses to start: .*kaggle.json is missing 'username'"):
        kaggle.download(HANDLE)


@pytest.mark.parametrize("handle", [None, HANDLE, "a-b/c_d/versions/12"])
def test_handles_with_a_version_pass(handle):
    assert kaggle.check_handle(handle) == handle


@pytest.mark.parametrize(
    "handle", ["", "a/b", "a/b/versions/0", "a/b/versions/x", "a/b/versions/1\n", "../b/versions/1", "a b/c/versions/1"]
)
def test_other_handles_are_refused(handle):
    with pytest.raises(ValueError, match="owner/dataset/versions/number"):
        kaggle.check_handle(handle)
