"""What whoever has just run it wants to know."""

import json

import pytest

from brainmri.comparison.headline import headline, pages


def project(root, simulated=True, **numbers):
    found = {"accuracy": 0.98765, "macro_f1": 0.9, "ece": 0.03, "test_images": 81, "test_no_patient": 0, **numbers}
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics/summary.json").write_text(json.dumps(found))
    (root / "metrics/data.json").write_text(json.dumps({"simulated": simulated}))
    return root


def test_scores_are_said_with_what_they_are_of(tmp_path):
    said = headline(project(tmp_path, patients_seen=0, dice_unet=0.95))
    assert said == (
        "Simulated data, 81 test images: accuracy 0.988, macro F1 0.900, ECE 0.030, Dice of the U-Net 0.950\n"
        "Known test patients whom the network has seen in training: none"
    )


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"patients_seen": 9, "test_no_patient": 4}, "in training: 9; 4 of the images are of nobody that is known"),
        ({"test_no_patient": 81}, "No test patient is known, so whether the network has seen them in training is not"),
    ],
)
def test_real_scans_say_whether_their_patients_were_seen(tmp_path, numbers, said):
    text = headline(project(tmp_path, simulated=False, **numbers))
    assert text.startswith("Real scans, 81 test images: accuracy 0.988")
    assert said in text


def test_pages_are_named_where_they_are(tmp_path):
    assert pages(tmp_path) == ""
    (tmp_path / "data/report").mkdir(parents=True)
    (tmp_path / "data/report/index.html").touch()
    assert pages(tmp_path) == f"Open {tmp_path}/data/report/index.html (with scans, for you alone)"
