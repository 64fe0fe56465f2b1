"""The pages where files are missing: a sentence each, and what can be shown is shown."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from servers import require

try:
    from streamlit.testing.v1 import AppTest
except ImportError:
    AppTest = None

pytestmark = [pytest.mark.servers, pytest.mark.slow]
WAIT_S = 300
ROOT = Path(__file__).parents[2]
# Another thread, such as the one that warms the networks, is halfway through importing Matplotlib's pyplot.
IMPORTED_MEANWHILE = """
import sys, threading, time
import app.batch, app.run_page, brainmri.prediction.trained_models, brainmri.prediction.scan_batch
if "matplotlib.pyplot" in sys.modules:
    sys.exit("pyplot should be imported late: it takes a second")
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "matplotlib._pylab_helpers":
            halfway.set()
            time.sleep(2)
halfway = threading.Event()
sys.meta_path.insert(0, Slow())
threading.Thread(target=__import__, args=["matplotlib.pyplot"]).start()
if not halfway.wait(60):
    sys.exit("never halfway")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder in the place of the project's."""
    require(AppTest is not None, "streamlit (requirements-app.lock)")
    monkeypatch.setenv("BRAINMRI_ROOT", str(tmp_path))
    return tmp_path


def scans():
    from app import scans_page

    scans_page.show()


def run():
    from app import run_page

    run_page.show()


def test_without_a_model_the_scan_can_be_looked_at(place, monkeypatch):
    from app import trained

    monkeypatch.setattr(trained, "warm", lambda: None)
    page = AppTest.from_function(scans, default_timeout=WAIT_S).run()
    assert not page.exception
    assert "Not for clinical use" in page.warning[0].value
    page.button_group[0].set_value(["glioma, axial slice"]).run()
    assert not page.exception
    assert len(page.error) == 1
    assert "no such file" in page.error[0].value
    assert [slider.label for slider in page.slider] == ["Window level", "Window width"]


def test_classes_of_ones_own_without_masks_are_asked_nothing_that_they_cannot_answer(place, monkeypatch):
    """No U-Net, no class `notumor`: no outline at first, which is said, and no box about scans without a tumour."""
    from handmade import handmade

    import app.answers_page
    from brainmri.prediction.trained_models import load_models

    handmade(place / "models")
    models = load_models(place / "models/classifier", None)
    own = replace(models, classifier=replace(models.classifier, classes=["a", "b", "c", "d"]))
    monkeypatch.setattr(app.answers_page.trained, "trained", lambda: own)
    page = AppTest.from_function(scans, default_timeout=WAIT_S).run()
    page.button_group[0].set_value(["glioma, axial slice"]).run()
    assert not page.exception
    assert page.radio[0].value == "none"
    assert len(page.checkbox) == 0
    assert any("have no U-Net" in text.value.replace("\\", "") for text in page.markdown)


def test_without_a_run_each_part_says_what_is_missing(place):
    page = AppTest.from_function(run, default_timeout=WAIT_S).run()
    assert not page.exception
    said = [error.value.replace("\\", "") for error in page.error]
    for name in ("params.yaml", "data/segmentation/rows.csv", "metrics/data.json"):
        assert any(name in text for text in said), name
    page.button[0].click().run()  # Compare
    assert not page.exception
    assert any("should be a DVC project" in error.value.replace("\\", "") for error in page.error)


def test_what_there_is_of_a_run_is_shown(place):
    (place / "params.yaml").write_text("train:\n  seed: 0\n")
    page = AppTest.from_function(run, default_timeout=WAIT_S).run()
    assert page.code[0].value == "train:\n  seed: 0"
    assert len(page.error) == 2


def test_classes_that_are_called_like_numbers_are_counted(place):
    """The default run's small files, with its classes renamed."""
    names = {"glioma": "0", "meningioma": "1", "notumor": "2", "pituitary": "03"}
    for path in [*ROOT.glob("metrics/*.json"), *ROOT.glob("plots/*.csv")]:
        text = path.read_text()
        for old, new in names.items():
            text = re.sub(rf"(?<![A-Za-z]){old}(?![A-Za-z])", new, text)
        copy = place / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(text)
    page = AppTest.from_function(run, default_timeout=WAIT_S).run()
    assert not page.exception
    (table,) = (each.proto.body for each in page.get("html") if "predicted 03" in each.proto.body)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table)
    assert [name for name, _ in rows] == list(names.values())
    counts = [[int(cell) for cell in re.findall("<td>(.*?)</td>", cells)] for _, cells in rows]
    predictions = (ROOT / "plots/predictions.csv").read_text().splitlines()[1:]
    assert sum(map(sum, counts)) == len(predictions)
    assert all(counts[at][at] > 0 for at in range(len(names)))
    assert any("Images without a known patient" in each.proto.body for each in page.get("html"))


@pytest.mark.parametrize(
    "statement",
    ["import app.viewer", "from app import run_page; run_page._outlined(run_page.Path('gone'), 'unet', '0')"],
)
def test_a_visitor_who_comes_while_keras_imports_pyplot_sees_no_error(place, statement):
    words = [sys.executable, "-c", f"{IMPORTED_MEANWHILE}\n{statement}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "partially initialized" not in done.stderr
    assert done.returncode == 0 or "ArtifactError" in done.stderr, done.stderr  # there is no such run
