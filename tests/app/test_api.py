"""The API answers as the library does, says what is wrong in a sentence, and turns away what is too much."""

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest
from conftest import PARAMS, draw_scan
from scan_files import PERSON, dicom_bytes, nifti_bytes
from servers import free_port, program, require, running

from brainmri.core.errors import ArtifactError

try:
    import httpx
    from fastapi.testclient import TestClient
except ImportError:
    TestClient = None

pytestmark = [pytest.mark.servers, pytest.mark.slow]
AFFINE = np.diag([-2.0, -3, 5, 1])


def png(seed=1, label="glioma"):
    return bytes(cv2.imencode(".png", draw_scan(np.random.default_rng(seed), label)[0])[1])


@pytest.fixture(scope="module")
def root(tmp_path_factory, classifier, trained_unet):
    place = tmp_path_factory.mktemp("root")
    (place / "models").mkdir()
    (place / "models/classifier").symlink_to(classifier)
    (place / "models/unet").symlink_to(trained_unet)
    (place / "params.yaml").write_text(PARAMS.read_text())
    return place


@pytest.fixture(scope="module")
def client(root):
    """A client of the API with the tiny networks loaded."""
    require(TestClient is not None, "fastapi, httpx and schemathesis (requirements-all.lock)")
    from app.api import api

    before = os.environ.get("BRAINMRI_ROOT")
    os.environ["BRAINMRI_ROOT"] = str(root)
    with TestClient(api) as client:
        for _ in range(600):
            if client.get("/ready").is_success:
                break
            time.sleep(0.1)
        yield client
    os.environ.pop("BRAINMRI_ROOT") if before is None else os.environ.update(BRAINMRI_ROOT=before)


def sent(client, name, data, path="/predict", **query):
    return client.post(path, files={"file": (name, data)}, params=query)


def test_an_answer_is_that_of_the_library(client, root):
    from brainmri.prediction.answer import answer, as_dict
    from brainmri.prediction.trained_models import load_models

    models = load_models(root / "models/classifier", root / "models/unet", root / "params.yaml")
    for method in ("auto", "unet", "kmeans", "none"):
        given = sent(client, "a.png", png(), method=method, gate=False)
        assert given.status_code == 200
        expected = as_dict(answer(("a.png", png()), models, method, gate=False))
        assert {**given.json(), "seconds": None} == {
            **expected, "seconds": None, "affine": None, "slice_probabilities": None
        }  # fmt: skip
    assert "Not for clinical use" in given.json()["note"]


def test_a_volume_has_more_and_its_mask_lies_on_its_grid(client):
    stack = np.stack([draw_scan(np.random.default_rng(3), "glioma")[0] for _ in range(4)], -1).astype(np.int16)
    data = gzip.compress(nifti_bytes(stack, AFFINE))
    found = sent(client, "a.nii.gz", data, method="kmeans", gate=False).json()
    assert found["kind"] == "volume"
    assert len(found["slice_probabilities"]) == 4
    assert found["mask"]["volume_ml"] > 0
    given = sent(client, "a.nii.gz", data, "/mask", method="kmeans", gate=False)
    assert given.headers["content-type"] == "application/gzip"
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(given.content))
    assert mask.shape == stack.shape
    np.testing.assert_array_equal(mask.affine, AFFINE)
    assert np.asarray(mask.dataobj).sum() == found["mask"]["voxels"]


def test_the_mask_of_an_image_is_a_png(client):
    given = sent(client, "a.png", png(), "/mask", method="kmeans", gate=False)
    mask = cv2.imdecode(np.frombuffer(given.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).sum() == sent(client, "a.png", png(), method="kmeans", gate=False).json()["mask"]["pixels"]
    assert sent(client, "a.png", png(), "/mask", method="none").json()["detail"].startswith("mask: ")


def test_nothing_tells_of_the_person(client):
    pixels = draw_scan(np.random.default_rng(1), "glioma")[0].astype(np.uint16) * 8
    text = sent(client, "a.dcm", dicom_bytes(pixels, **PERSON)).text
    assert not [word for word in ("Jane", "Doe", "4711") if word in text]
    assert json.loads(text)["mask"] is not None


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", b"", "a.png: cannot be decoded"),
        ("a.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 50, "a.dcm: "),
        ("a.nii.gz", gzip.compress(bytes(2**27)), "a.nii.gz: "),
        ("../../a.png", b"x", "cannot be decoded"),
        ("a.tar.gz", b"\x1f\x8b\0", "should be a zip or a plain tar"),
        (
            "a.bmp",
            cv2.imencode(".bmp", np.zeros((64, 64), np.uint8))[1].tobytes(),
            "a.bmp: should show a head, received",
        ),
    ],
)
def test_a_hostile_file_gets_a_sentence_and_the_next_an_answer(client, name, data, reason):
    given = sent(client, name, data)
    assert given.status_code == 422
    assert reason in given.json()["detail"]
    assert sent(client, "b.png", png()).status_code == 200


def test_what_is_wrong_with_a_request_is_a_sentence(client):
    assert client.post("/predict").json() == {"detail": "body.file: Field required"}
    given = sent(client, "a.png", png(), method="magic")
    assert given.status_code == 422
    assert given.json()["detail"].startswith(
        "method should be one of auto, unet, kmeans_brain, kmeans, none, received 'magic'"
    )


def test_a_defect_of_ours_is_no_traceback(client, monkeypatch):
    from app import api

    monkeypatch.setattr(api, "answer", lambda *_: 1 / 0)
    quiet = TestClient(api.api, raise_server_exceptions=False)
    given = sent(quiet, "a.png", png())
    assert given.status_code == 500
    assert "nobody foresaw" in given.json()["detail"]
    assert "ZeroDivision" not in given.text


def test_health_and_readiness(client, monkeypatch):
    from app import api

    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/ready").json()["methods"] == ["auto", "unet", "kmeans_brain", "kmeans", "none"]
    monkeypatch.setattr(api, "_state", {})
    for given in (client.get("/ready"), sent(client, "a.png", png())):
        assert given.status_code == 503
        assert given.headers["retry-after"] == "1"
    assert client.get("/health").status_code == 200
    monkeypatch.setattr(api, "_state", {"problem": "models/classifier: no such file"})
    assert client.get("/ready").json()["detail"] == "models/classifier: no such file"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ArtifactError("models/classifier: no such folder"), "models/classifier: no such folder"),
        (RuntimeError("secret/path"), "the networks could not be loaded, for a reason nobody foresaw; the log has it"),
        (ImportError("secret/path"), "the networks could not be loaded, for a reason nobody foresaw; the log has it"),
        (MemoryError(), "the networks could not be loaded, for a reason nobody foresaw; the log has it"),
    ],
)
def test_what_goes_wrong_while_loading_is_told_and_logged(client, monkeypatch, caplog, error, said):
    from app import api

    def fail():
        raise error

    monkeypatch.setattr(api, "_state", {})
    monkeypatch.setattr(api, "trained", fail)
    thread = threading.Thread(target=api._load)
    thread.start()
    thread.join()
    for given in (client.get("/ready"), sent(client, "a.png", png())):
        assert (given.status_code, given.json()["detail"]) == (503, said)
        assert "retry-after" not in given.headers  # another try would find the same
    if not isinstance(error, ArtifactError):
        assert caplog.records[-1].exc_info[1] is error


def test_the_page_names_every_operation_and_loads_nothing(client):
    page = client.get("/").text
    for words in ("POST /predict", "POST /mask", "GET /health", "GET /ready", "/openapi.json", "Not for clinical use"):
        assert words in page
    assert "<script" not in page
    assert "src=" not in page


def test_swagger_is_served_from_here(client):
    page = client.get("/docs").text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 3
    for name in named:
        assert client.get(f"/{name}").is_success, name
    assert "://" not in page
    assert '"validatorUrl": null' in page  # or it would send the document to its maker's host
    assert "url: 'openapi.json'" in page


def test_models_without_a_u_net_answer_and_say_that_they_have_none(client, monkeypatch):
    from app import api

    models = api.trained()
    monkeypatch.setattr(api, "trained", lambda: replace(models, tools=replace(models.tools, unet=None)))
    assert client.get("/ready").json()["methods"] == ["auto", "kmeans_brain", "kmeans", "none"]
    given = sent(client, "a.png", png()).json()
    assert given["mask"] is None
    assert "have no U-Net, so nothing is outlined" in given["remarks"][0]
    given = sent(client, "a.png", png(), "/mask")
    assert given.status_code == 422
    assert "have no U-Net" in given.json()["detail"]
    given = sent(client, "a.png", png(), method="unet")
    assert given.status_code == 422  # the request's fault, not the server's
    assert "method unet needs a trained U-Net" in given.json()["detail"]


def test_an_abstaining_classifier_hides_no_outline(client, monkeypatch):
    from app import api

    models = api.trained()
    timid = replace(models.classifier, abstain_below=1.1, classes=["notumor"] * 4)
    monkeypatch.setattr(api, "trained", lambda: replace(models, classifier=timid))
    given = sent(client, "a.png", png(), method="kmeans").json()
    assert (given["abstain"], given["mask"]["gated"], given["mask"]["unsure"]) == (True, False, True)
    assert given["mask"]["pixels"] > 0
    assert "unsure" in given["remarks"][0]


def test_an_unlike_scan_is_abstained_from_in_a_sentence(client, monkeypatch):
    from app import api

    models = api.trained()
    strange = replace(models.classifier, unlike_above=0.0)
    monkeypatch.setattr(api, "trained", lambda: replace(models, classifier=strange))
    given = sent(client, "a.png", png()).json()
    assert (given["abstain"], given["unlike_above"]) == (True, 0)
    assert given["unlike"] > 0
    assert "unlike the images that the classifier learnt from" in given["remarks"][0]


def test_a_body_that_is_too_large_is_turned_away_whether_it_says_so_or_not(client, monkeypatch):
    monkeypatch.setattr(middleware(client), "max_bytes", 1000)
    given = sent(client, "a.png", bytes(2000))
    assert given.status_code == 413

    def parts():
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        yield from (head, *[bytes(500)] * 4, b"\r\n--x--\r\n")

    headers = {"content-type": "multipart/form-data; boundary=x"}
    given = client.post("/predict", content=parts(), headers=headers)
    assert given.status_code == 413
    assert given.json()["detail"] == "a request should have at most 1000 bytes, received more"


def test_too_many_at_once_are_turned_away_and_the_others_answered(client, monkeypatch):
    from app import api

    monkeypatch.setattr(middleware(client), "waiting", 3)
    go, entered, inner = threading.Event(), threading.Semaphore(0), api.answer

    def slow(*given):
        entered.release()
        go.wait(30)
        return inner(*given)

    monkeypatch.setattr(api, "answer", slow)
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(sent(client, "a.png", png()).status_code)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    entered.acquire(timeout=30)
    while middleware(client).pending < 3:
        time.sleep(0.01)
    given = sent(client, "a.png", png())
    assert (given.status_code, given.headers["retry-after"]) == (503, "1")
    assert client.get("/health").status_code == 200
    go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 3
    assert middleware(client).pending == 0


def test_who_sends_too_slowly_is_told(client, monkeypatch):
    from app.shedding import Shedding

    async def silent():
        await asyncio.sleep(60)

    async def reads(scope, receive, send):
        await receive()

    shedding = Shedding(reads, 1, 10, 0.01)
    with pytest.raises(Exception, match="nothing was received") as found:
        asyncio.run(shedding({"type": "http", "method": "POST", "headers": []}, silent, None))
    assert found.value.status_code == 408
    assert shedding.pending == 0


def middleware(client):
    """Return the instance that stands before the API of a client."""
    from app.shedding import Shedding

    place = client.app.middleware_stack
    while not isinstance(place, Shedding):
        place = place.app
    return place


def test_schemathesis_finds_nothing(root, tmp_path, monkeypatch):
    """Against the real server: answers as documented, whatever is sent; no status that is not, no 500."""
    found, port = program("schemathesis", "schemathesis"), free_port()
    monkeypatch.setenv("BRAINMRI_ROOT", str(root))
    words = [sys.executable, "-m", "uvicorn", "app.api:api", "--port", str(port), "--log-level", "warning"]
    with running(words, port, tmp_path / "log"):
        address = f"http://127.0.0.1:{port}"
        while not httpx.get(f"{address}/ready").is_success:
            time.sleep(0.2)
        command = [found, "run", f"{address}/openapi.json", "--max-examples", "50", "--seed", "1", "--no-color"]
        # That what fits the schema is accepted cannot be asked: no schema says which bytes are a scan.
        command += ["--exclude-checks", "positive_data_acceptance"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-6000:]
        assert httpx.get(f"{address}/health").is_success
    assert "Traceback" not in (tmp_path / "log").read_text()
