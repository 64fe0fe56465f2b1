"""The licences of what is installed are told, and one that is not allowed is found."""

import importlib.util
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parent.parent / ".ci/licences.py"
LOCK = PLACE.parent.parent / "requirements.lock"


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("Apache-2.0 OR GPL-2.0-or-later", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("MIT AND GPL-3.0-only", False),
        ("not told", False),
        ("", False),
    ],
)
def test_what_may_be_used(licences, expression, fits):
    assert licences.allowed(expression) is fits


def test_what_runs_is_allowed(licences):
    rows, refused, absent = licences.table(LOCK)
    assert refused == []
    assert set(absent) <= {"pywin32", "tzdata", "colorama"}
    assert "| numpy | " in "\n".join(rows)
    assert len(rows) - 2 + len(absent) == len(licences.packages(LOCK))


def test_no_word_by_hand_outlives_its_package(licences):
    locked = set(licences.packages(LOCK.with_name("requirements-all.lock")))
    assert set(licences.BY_HAND) | set(licences.EXCEPTIONS) <= locked


def test_one_that_is_not_allowed_ends_it(licences, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.lock").write_text("numpy==1 \\\n    --hash=sha256:0\npytest==1\n")
    monkeypatch.setattr(licences, "licence", lambda name: {"numpy": "AGPL-3.0-only", "pytest": "MIT"}[name])
    monkeypatch.setattr(sys, "argv", ["licences", str(tmp_path / "a.lock")])
    with pytest.raises(SystemExit, match=r"a\.lock: licences should be among .* received numpy \(AGPL-3\.0-only\)"):
        licences.main()
    assert "| pytest | MIT |  |" in capsys.readouterr().out
