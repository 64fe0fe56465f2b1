"""A released model is used only as it was published, and nothing in an archive reaches out of its folder."""

import zipfile

import pytest
from released_files import files, network, served, sums, write

from brainmri.core.errors import ArtifactError, InputError
from brainmri.prediction import released


def test_an_archive_its_folder_and_its_address_are_the_same(tmp_path):
    sha256 = write(tmp_path / "model.zip", files())
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path / "folder")
    with served(tmp_path) as address:
        for where, own in (
            (str(tmp_path / "model.zip"), None),
            (str(tmp_path / "model.zip"), sha256.upper()),
            (str(tmp_path / "folder"), None),
            (f"{address}/model.zip", sha256),
        ):
            with released.opened(where, own) as found:
                assert (found.classifier / "model.keras").read_bytes() == files()["classifier/model.keras"]
                assert found.unet is not None
                assert found.params.read_text() == "segment: {}\n"
            assert not found.classifier.exists()  # nothing is left behind


def test_without_a_u_net_there_is_none(tmp_path):
    write(tmp_path / "model.zip", files(**{"unet/model.keras": None}))
    with released.opened(str(tmp_path / "model.zip")) as found:
        assert found.unet is None


def test_an_address_needs_the_checksum_and_what_comes_has_to_have_it(tmp_path):
    write(tmp_path / "model.zip", files())
    with served(tmp_path) as address:
        for where, sha256, said in (
            (f"{address}/model.zip?token=secret", None, "needs its --sha256, received none"),
            (f"{address}/model.zip", "0" * 64, "should have the SHA-256 0000.*it was not opened"),
            (f"{address}/model.zip", "abc", "should be 64 hexadecimal digits, received 'abc'"),
            (f"{address}/gone.zip", "0" * 64, "cannot be fetched: HTTP Error 404"),
            ("ftp://127.0.0.1/model.zip", "0" * 64, "should begin with http:// or https://"),
            ("file:///etc/passwd", "0" * 64, "should begin with http:// or https://"),
            ("http://127.0.0.1:1/model.zip", "0" * 64, "cannot be fetched: "),
        ):
            with pytest.raises(InputError, match=said) as error, released.opened(where, sha256):
                pass
            assert "secret" not in str(error.value)
    with pytest.raises(InputError, match="should have the SHA-256"), released.opened(
        str(tmp_path / "model.zip"), "0" * 64
    ):  # fmt: skip
        pass


@pytest.mark.parametrize(
    ("changes", "listed", "said"),
    [
        ({"unet/model.keras": network(11)}, sums(files()), "unet/model.keras should have the SHA-256 that"),
        ({"more.txt": b"x"}, sums(files()), r"should list the files that are there, received \['more.txt'\]"),
        ({"params.yaml": None}, sums(files()), r"should list the files that are there, received \['params.yaml'\]"),
        ({}, b"hello\n", "should have lines of `sha256sum`"),
        ({"release.json": b'{"format": 2}'}, None, "should be of format 1, received 2"),
        ({"release.json": b"[]"}, None, "should be of format 1, received None"),
        ({"classifier/model.keras": b"PK"}, None, "model.keras is no .keras file"),
        ({"../outside": b"x"}, None, "leaves the archive"),
        ({"/outside": b"x"}, None, "leaves the archive"),
    ],
)
def test_what_is_not_as_listed_is_refused(tmp_path, changes, listed, said):
    write(tmp_path / "model.zip", files(**changes), listed)
    with pytest.raises((ArtifactError, InputError), match=said), released.opened(str(tmp_path / "model.zip")):
        pass
    assert not (tmp_path.parent / "outside").exists()


def test_sizes_are_bounded(tmp_path, monkeypatch):
    sha256 = write(tmp_path / "model.zip", files(**{"classifier/model.keras": network(100_000)}))
    assert (tmp_path / "model.zip").stat().st_size < 5000
    with served(tmp_path) as address:
        for largest, where, own, said in (
            (50_000, str(tmp_path / "model.zip"), None, "model.keras should unpack to at most 50000 bytes"),
            (900, str(tmp_path / "model.zip"), None, "should have at most 900 bytes"),
            (900, f"{address}/model.zip", sha256, "should have at most 900 bytes, received more"),
        ):
            monkeypatch.setattr(released, "MAX_BYTES", largest)
            with pytest.raises(InputError, match=said), released.opened(where, own):
                pass
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        members = files(big=bytes(100_000))
        for name, data in (members | {"SHA256SUMS": sums(members)}).items():
            archive.writestr(name, data)
    monkeypatch.setattr(released, "MAX_BYTES", 50_000)
    with pytest.raises(InputError, match="should unpack to at most 50000 bytes"), released.opened(
        str(tmp_path / "bomb.zip")
    ):  # fmt: skip
        pass


def test_what_is_no_released_model_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/model.keras").write_bytes(b"x")
    (tmp_path / "text.zip").write_text("hello")
    for name, said in (
        ("folder", "should be a released model, with SHA256SUMS"),
        ("text.zip", "received no zip"),
        ("gone.zip", "no such file or folder"),
    ):
        with pytest.raises((ArtifactError, InputError), match=said), released.opened(str(tmp_path / name)):
            pass
    with pytest.raises(InputError, match="leave it out for a folder"), released.opened(str(tmp_path), "0" * 64):
        pass
