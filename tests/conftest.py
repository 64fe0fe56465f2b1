"""A small generated set, taken through the stages once for all the tests that look at what they write."""

import os
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import settings

# As `core/quiet_keras.py` has it, for tests that import Keras themselves. What the environment says goes first, and at
# 2 TensorFlow tells of a GPU that it did not find ("failed call to cuInit").
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A shell's jobs in the background ignore Ctrl-C, and so would all that tests start from there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A property is not timed: on a machine that is busy with something else it would fail by chance.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

PARAMS = Path(__file__).parent.parent / "params.yaml"
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
SIDE = 64


def draw_scan(rng, label):
    """Draw a head with a bright spot whose place tells the class; return image and mask, (64, 64) uint8."""
    image = np.zeros((SIDE, SIDE), np.uint8)
    centre = tuple(int(value) for value in rng.integers(28, 37, 2))
    cv2.ellipse(image, centre, (24, 28), float(rng.uniform(0, 40)), 0, 360, int(rng.integers(70, 110)), -1)
    mask = np.zeros_like(image)
    if label != "notumor":
        x, y = {"glioma": (22, 24), "meningioma": (42, 24), "pituitary": (32, 44)}[label]
        cv2.circle(mask, (x, y), int(rng.integers(4, 8)), 255, -1)
    texture = cv2.resize(rng.normal(0, 25, (8, 8)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + texture * (image > 0) + rng.normal(0, 3, image.shape), 0, 170)
    return np.where(mask > 0, 240, image).astype(np.uint8), mask


def write_set(folder, rng, train=12, test=4):
    """Write a manifest of generated images with masks; image 0 of the test part is a copy of one in training."""
    rows = ["path,label,patient,split,mask"]
    for split, count in (("train", train), ("test", test)):
        for label in CLASSES:
            for at in range(count):
                image, mask = draw_scan(rng, label)
                if (split, at, label) == ("test", 0, "glioma"):
                    image, mask = (cv2.imread(str(folder / f"{kind}train_glioma_0.png"), 0) for kind in ("", "mask_"))
                name = f"{split}_{label}_{at}.png"
                cv2.imwrite(str(folder / name), image)
                cv2.imwrite(str(folder / f"mask_{name}"), mask)
                rows.append(f"{name},{label},{split}{label}{at // 2},{split},mask_{name}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    return folder / "images.csv"


def write_other_sets(folder, learnt):
    """Write two sets from elsewhere: a manifest with images that should be left out, and masked slices without labels.

    `learnt` is the folder of `write_set`. Of the manifest's 29 images `copy.jpg` mirrors one in training, `friend.png`
    is of the same patient as the copy, `known.png` of a patient who is named in training, `broken.png` is no image,
    and the class of `cyst.png` is not learnt.
    """
    rng = np.random.default_rng(9)
    rows = ["path,label,patient,split,mask"]

    def add(name, label, patient="", image=None):
        drawn, mask = draw_scan(rng, label)
        cv2.imwrite(str(folder / f"{name}.png"), drawn if image is None else image)
        cv2.imwrite(str(folder / f"mask_{name}.png"), mask)
        rows.append(f"{name}.png,{label},{patient},train,mask_{name}.png")

    for label in CLASSES:
        for at in range(6):
            add(f"{label}_{at}", label, f"other{label}{at // 2}")
    copy = cv2.imread(str(learnt / "train_pituitary_1.png"), 0)[:, ::-1]
    cv2.imwrite(str(folder / "copy.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 90])
    rows.append("copy.jpg,pituitary,someone,train,")
    add("friend", "pituitary", "someone")
    add("known", "glioma", "trainglioma1")
    (folder / "broken.png").write_bytes(b"no image")
    rows += ["broken.png,glioma,,train,"]
    add("cyst", "glioma")
    rows[-1] = rows[-1].replace(",glioma,", ",cyst,")
    (folder / "elsewhere.csv").write_text("\n".join(rows) + "\n")
    for kind in ("images", "masks"):
        (folder / "slices" / kind).mkdir(parents=True)
    for at in range(4):
        image, mask = draw_scan(rng, "glioma")
        cv2.imwrite(str(folder / f"slices/images/{at + 1}.png"), image)
        cv2.imwrite(str(folder / f"slices/masks/{at + 1}.png"), mask)
    return {"elsewhere": str(folder / "elsewhere.csv"), "slices": str(folder / "slices")}


def tiny_params(**changes):
    """Return the content of params.yaml, made small; `changes` are sections with the keys to change."""
    params = yaml.safe_load(PARAMS.read_text())
    small = {
        "fetch": {"source": "local"},
        "preprocess": {"size": 32, "duplicates": "drop"},
        "train": {
            "residual": {"widths": [4, 8], "depth": 1, "patch": 4},
            "cnn": {"filters": [4], "pools": [2], "dense": 8, "kernel": 3, "stride": 1},
            "epochs": 2,
            "warmup_epochs": 1,
            "averaging": 0.5,
        },
        "train_unet": {"widths": [4, 8], "epochs": 2},
        "evaluate": {"bootstrap": 100},
        "segment": {"bootstrap": 100},
    }
    for section, values in params.items():
        values.update(small.get(section, {}))
        values.update(changes.get(section, {}))
    return params


@pytest.fixture(scope="session")
def set_manifest(tmp_path_factory):
    """Path of the manifest of the generated set."""
    return write_set(tmp_path_factory.mktemp("set"), np.random.default_rng(0))


@pytest.fixture(scope="session")
def raw(tmp_path_factory, set_manifest):
    """The generated set as fetch stores it."""
    from brainmri.core.params import check
    from stages import fetch

    local = {"classes": None, "masks": None, "manifest": str(set_manifest), "patients": None}
    out = tmp_path_factory.mktemp("raw") / "raw"
    fetch.run(check(tiny_params(fetch={"source": "local", "local": local})["fetch"], fetch.Params, "fetch"), out)
    return out


@pytest.fixture(scope="session")
def processed(tmp_path_factory, raw):
    """The generated set as preprocess leaves it."""
    from brainmri.core.params import check
    from stages import preprocess

    out = tmp_path_factory.mktemp("processed") / "processed"
    exclude = PARAMS.with_name("exclude.csv")
    preprocess.run(check(tiny_params()["preprocess"], preprocess.Params, "preprocess"), raw, exclude, out)
    return out


@pytest.fixture(scope="session")
def raw_with_others(tmp_path_factory, set_manifest):
    """The generated set and two from elsewhere as fetch stores them."""
    from brainmri.core.params import check
    from stages import fetch

    others = write_other_sets(tmp_path_factory.mktemp("others"), set_manifest.parent)
    local = {"classes": None, "masks": None, "manifest": str(set_manifest), "patients": None}
    out = tmp_path_factory.mktemp("raw_with_others") / "raw"
    section = tiny_params(fetch={"source": "local", "local": local, "external": others})["fetch"]
    fetch.run(check(section, fetch.Params, "fetch"), out)
    return out


@pytest.fixture(scope="session")
def processed_with_others(tmp_path_factory, raw_with_others):
    """The same as preprocess leaves them."""
    from brainmri.core.params import check
    from stages import preprocess

    out = tmp_path_factory.mktemp("processed_with_others") / "processed"
    section = check(tiny_params()["preprocess"], preprocess.Params, "preprocess")
    preprocess.run(section, raw_with_others, PARAMS.with_name("exclude.csv"), out)
    return out


@pytest.fixture(scope="session")
def augmented(tmp_path_factory, processed):
    """The folder of what augment makes of its training images."""
    from brainmri.core.params import check
    from stages import augment

    out = tmp_path_factory.mktemp("augmented") / "augmented"
    augment.run(check(tiny_params()["augment"], augment.Params, "augment"), processed / "train", out)
    return out


@pytest.fixture(scope="session")
def classifier(tmp_path_factory, processed, augmented):
    """A classifier trained on them for two epochs."""
    from brainmri.core.params import check
    from stages import train

    place = tmp_path_factory.mktemp("models")
    params = check(tiny_params()["train"], train.Params, "train")
    train.run(params, processed / "train", processed / "val", augmented, place / "classifier", place)
    return place / "classifier"


@pytest.fixture(scope="session")
def trained_unet(tmp_path_factory, processed):
    """A U-Net trained on their masks for two epochs."""
    from brainmri.core.params import check
    from stages import train_unet

    place = tmp_path_factory.mktemp("models")
    params = check(tiny_params()["train_unet"], train_unet.Params, "train_unet")
    train_unet.run(params, processed / "train", processed / "val", place / "unet", place)
    return place / "unet"


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory):
    """A copy of the project with tiny params, run through DVC, committed to `main`; to be copied, not changed."""
    from tiny_project import commit, sh, write_project

    place = tmp_path_factory.mktemp("finished") / "project"
    write_project(place)
    sh(place, "dvc", "repro")
    commit(place, "first run")
    return place


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory):
    """A DVC project with one run made by hand, tagged `first`, and a remote that does not exist; to be copied."""
    from dvc.repo import Repo
    from revision_files import commit, run, sh, write

    place = tmp_path_factory.mktemp("small")
    sh(place, "git", "init", "--quiet", "--initial-branch", "main")
    Repo.init(str(place)).close()
    remote = "['remote \"gone\"']\n    url = ssh://gone.invalid/nowhere\n"
    write(place, ".dvc/config", f"[core]\n    remote = gone\n{remote}")
    write(place, ".gitignore", "/data/\n")
    run(place)
    commit(place, "first")
    return place


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium or Chrome of this machine, driven by playwright."""
    from servers import require

    require(find_spec("playwright"), "playwright (requirements-all.lock)")
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    require(found, "chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # on a busy machine five seconds are not enough
    # Without the last four it looks for its maker's hosts at every start.
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found[0], args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(browser, finished_project, tmp_path_factory):
    """The page of a finished tiny project, served on loopback."""
    from servers import free_port, running

    port, log = free_port(), tmp_path_factory.mktemp("page") / "log"
    words = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINMRI_ROOT", str(finished_project))
        patch.chdir(PARAMS.parent)  # Streamlit reads .streamlit/config.toml in the folder that it is started in
        with running(words, port, log):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture
def visit(browser, address):
    """Open the page in a session of its own, given options of the browser; it must ask nothing of any other host."""
    contexts, asked = [], set()

    def opened(path="/", **options):
        contexts.append(browser.new_context(accept_downloads=True, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"{address}{path}")
        return page

    yield opened
    for context in contexts:
        assert context.pages[0].get_by_test_id("stException").count() == 0
        context.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


@pytest.fixture
def page(visit):
    """The page on a desk's screen."""
    return visit(viewport={"width": 1280, "height": 900})
