"""A secret in the environment or in an address reaches no message, no log, no file of git or DVC."""

import json
import subprocess

import pytest
import released_files
import yaml
from conftest import tiny_params
from tiny_project import PLANTED, sh

from brainmri.commands import cli
from brainmri.core.errors import InputError, exit_on_error
from brainmri.prediction import released, scan_batch
from stages import check_params

SECRET = "hunter2"
ADDRESSES = [f"https://me:{SECRET}@host.invalid/set.zip", f"https://host.invalid/set.zip?token={SECRET}"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("key", ["local.classes", "local.masks", "local.manifest", "local.patients", "external.other"])
def test_an_address_in_the_params_stops_the_run_before_dvc_keeps_them(tmp_path, key, address):
    params = tiny_params()
    section, name = key.split(".")
    params["fetch"][section][name] = address
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SystemExit, match=f"{key} should be a path on this machine") as stopped:
        exit_on_error(lambda: check_params.run(tmp_path / "params.yaml", tmp_path / "out"))
    assert SECRET not in str(stopped.value)
    assert "host.invalid/set.zip" in str(stopped.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"https://me:{SECRET}@host.invalid/model.zip", "should hold no user and no password"),
        (f"http://127.0.0.1:1/model.zip?token={SECRET}", "cannot be fetched: "),
        (f"http://127.0.0.1:1/model .zip?token={SECRET} ", "cannot be fetched: "),
        (f"http://127.0.0.1:{SECRET}@/model.zip", "should hold no user and no password"),
    ],
)
def test_the_address_of_a_model_is_shown_without_its_secret(address, said):
    with pytest.raises(InputError, match=said) as error, released.opened(address, "0" * 64):
        pass
    assert SECRET not in str(error.value)


def test_a_model_that_an_address_leads_to_elsewhere_is_shown_without_its_secret(tmp_path):
    released_files.write(tmp_path / "model.zip", released_files.files())
    with (
        released_files.served(tmp_path) as address,
        pytest.raises(InputError, match="should have the SHA-256") as error,
        released.opened(f"{address}/model.zip?signature={SECRET}", "0" * 64),
    ):
        pass
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_scan_that_is_an_address_is_refused_without_its_secret(address, monkeypatch, capsys, tmp_path):
    from pathlib import Path

    ((name, said),) = scan_batch.outcomes(Path(address), None, "none", gate=False)
    assert SECRET not in name + said
    for words in (["check", address], ["predict", "--model", address, "scan.png"], ["check", f"{address}.csv"]):
        monkeypatch.setattr("sys.argv", ["brainmri", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert SECRET not in f"{stopped.value}{capsys.readouterr()}"


@pytest.mark.slow
@pytest.mark.pipeline
def test_a_whole_run_keeps_no_secret_of_the_environment(finished_project, tmp_path):
    for path in finished_project.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in PLANTED.values() if secret.encode() in data], path
    listed = subprocess.run(
        ["git", "rev-list", "--objects", "--all"], cwd=finished_project, capture_output=True, text=True, check=True
    )
    names = "\n".join(line.split()[0] for line in listed.stdout.splitlines())
    held = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=finished_project, input=names.encode(), capture_output=True, check=True
    )
    assert b"params.yaml" in held.stdout
    assert not [secret for secret in PLANTED.values() if secret.encode() in held.stdout]
    said = sh(finished_project, "python", "-m", "brainmri", "summary") + sh(finished_project, "dvc", "doctor")
    assert json.loads((finished_project / "metrics/summary.json").read_text())
    assert not [secret for secret in PLANTED.values() if secret in said]
