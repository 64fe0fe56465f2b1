"""The known layouts are understood from names alone, however wrapped; anything else is refused with the way out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainmri.core import kinds
from brainmri.core.errors import InputError
from brainmri.sources import layouts
from brainmri.sources.archives import Archive
from stages import fetch

SARTAJ = ["Training/glioma_tumor/gg (1).jpg", "Training/no_tumor/image(1).jpg", "Testing/pituitary_tumor/p (12).jpg"]


def differences(images):
    layout = layouts.layout_of([name for image in images for name in (image.path, image.mask_path)], images[0].set)
    return layouts.differences(images, layout.expected(images))


def archive(*files: str, folders: tuple[str, ...] = ()) -> Archive:
    return Archive(Path("set.zip"), sorted(files), sorted(folders), lambda name: name.encode())


def classes(*files: str, folders: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    return [
        (image.path, image.split, image.label) for image in layouts.class_images(archive(*files, folders=folders))[1]
    ]


def test_nickparvar_names():
    assert classes("Testing/notumor/Te-no_0123.jpg", "Training/glioma/Tr-gl_0010.jpg") == [
        ("Testing/notumor/Te-no_0123.jpg", "test", "notumor"),
        ("Training/glioma/Tr-gl_0010.jpg", "train", "glioma"),
    ]


def test_sartaj_names():
    assert classes(*SARTAJ) == [
        ("Testing/pituitary_tumor/p (12).jpg", "test", "pituitary"),
        ("Training/glioma_tumor/gg (1).jpg", "train", "glioma"),
        ("Training/no_tumor/image(1).jpg", "train", "notumor"),
    ]


@given(wrappers=st.lists(st.sampled_from(["archive", "Brain MRI", "test", "glioma", "v1.2"]), max_size=3))
def test_wrapper_folders_change_nothing_but_the_wrapper(wrappers):
    prefix = "".join(f"{name}/" for name in wrappers)
    wrapper, images = layouts.class_images(archive(*(prefix + name for name in SARTAJ)))
    assert wrapper == prefix
    assert images == layouts.class_images(archive(*SARTAJ))[1]


def test_class_folders_without_splits():
    assert classes("set/No Tumor/1.PNG", "set/glioma/2.tiff") == [
        ("No Tumor/1.PNG", "", "notumor"),
        ("glioma/2.tiff", "", "glioma"),
    ]


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("TRAINING", "train"),
        ("Val", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("TEST", "test"),
    ],
)
def test_split_names_in_any_case(folder, split):
    assert classes(f"{folder}/glioma/1.jpg") == [(f"{folder}/glioma/1.jpg", split, "glioma")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("__MACOSX/glioma/._1.jpg", "__MACOSX"),
        ("glioma/.DS_Store", ".DS_Store"),
        ("glioma/Thumbs.db", "Thumbs.db"),
        ("glioma/._1.jpg", "hidden"),
        (".git/1.jpg", "hidden"),
        ("README.md", "*.md"),
        ("LICENSE", "*"),
        ("glioma/scan.zip", "*.zip"),
        ("DICOMDIR", "DICOMDIR"),
        ("glioma/1.2.840.4711", "*.0"),
        ("glioma/scan.gz", "*.gz"),
        ("glioma/1.JPG", ""),
        ("glioma/scan.DCM", ""),
        ("glioma/scan.nii.gz", ""),
    ],
)
def test_what_is_no_image_is_counted_by_kind(name, kind):
    assert kind in ("", kinds.ignored_as(name))
    assert len(classes("glioma/1.jpg", name)) == (1 if kind else 2)


def test_an_unknown_class_folder_is_refused():
    with pytest.raises(
        InputError, match=r"folder 'Training/astrocytoma' is no class; known classes: glioma, .*manifest CSV"
    ):
        classes("Training/astrocytoma/1.jpg", "Training/glioma/1.jpg")
    with pytest.raises(InputError, match=r"'1.jpg' lies in no class folder"):
        classes("1.jpg", "glioma/1.jpg")


def test_dicom_without_a_known_suffix_is_told_by_its_content():
    files = {"glioma/IM1": bytes(128) + b"DICM", "glioma/1.2.3": bytes(128) + b"DICM", "glioma/notes": b"x"}
    found = layouts.class_images(Archive(Path("set.zip"), sorted(files), [], files.__getitem__))[1]
    assert [image.path for image in found] == ["glioma/1.2.3", "glioma/IM1"]


def test_dicom_and_nifti_may_lie_deeper_than_their_class():
    assert classes("w/Training/glioma/a/s1/1.dcm", "w/Testing/No Tumor/b.nii.gz", "w/Testing/glioma/1.png") == [
        ("Testing/No Tumor/b.nii.gz", "test", "notumor"),
        ("Testing/glioma/1.png", "test", "glioma"),
        ("Training/glioma/a/s1/1.dcm", "train", "glioma"),
    ]
    with pytest.raises(InputError, match="folder 'glioma/a' is no class"):
        classes("glioma/a/1.png")
    with pytest.raises(InputError, match="folder 'cyst/a' is no class"):
        classes("cyst/a/1.dcm")


def test_a_mask_beside_its_image_is_its_mask():
    files = ["w/glioma/1.jpg", "w/glioma/1_mask.png", "w/glioma/1_mask_notes.jpg", "w/notumor/2.JPG"]
    wrapper, images = layouts.class_images(archive(*files))
    assert wrapper == "w/"
    assert [(image.path, image.mask_path) for image in images] == [
        ("glioma/1.jpg", "glioma/1_mask.png"), ("glioma/1_mask_notes.jpg", ""), ("notumor/2.JPG", ""),
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"glioma/1_mask.png is named as a mask, and no image beside it"):
        classes("glioma/1_mask.png", "glioma/2.jpg")
    with pytest.raises(InputError, match=r"received glioma/1_mask.png and glioma/1_mask_1.png for glioma/1.jpg"):
        classes("glioma/1.jpg", "glioma/1_mask.png", "glioma/1_mask_1.png")


def whose(*files: str) -> list[str]:
    return [image.case for image in layouts.class_images(archive(*files))[1]]


def test_volumes_in_a_folder_below_their_class_are_of_one_case():
    kinds = ("flair", "seg", "t1", "t2")
    files = [
        f"BraTS/{label}/c{at}/c{at}_{kind}.nii.gz" for label in ("glioma", "notumor") for at in (1, 2) for kind in kinds
    ]
    images = layouts.class_images(archive(*files))[1]
    assert len(images) == 12
    assert {image.mask_path for image in images} == {
        f"{label}/c{at}/c{at}_seg.nii.gz" for label in ("glioma", "notumor") for at in (1, 2)
    }
    assert sorted({image.case for image in images}) == ["glioma/c1", "glioma/c2", "notumor/c1", "notumor/c2"]
    assert whose("glioma/nii/a/1.nii", "glioma/nii/a/s/2.nii", "glioma/nii/b/1.nii") == [
        "glioma/a",
        "glioma/a",
        "glioma/b",
    ]
    assert whose("Training/glioma/a/1.dcm", "Testing/glioma/a/2.dcm", "Testing/glioma/b/2.dcm") == [
        "glioma/a", "glioma/b", "glioma/a"
    ]  # fmt: skip


def test_volumes_that_share_their_only_folder_are_cases_of_their_own_unless_they_are_called_as_it_is():
    assert whose("glioma/nii/1.nii", "glioma/nii/2.nii", "notumor/1.nii") == ["", "", ""]
    assert whose("glioma/glioma_1.nii", "glioma/glioma_2.nii") == ["", ""]
    assert whose("glioma/p7/p7_t1.nii", "glioma/p7/p7_t2.nii") == ["p7", "p7"]


def test_numbered_volumes_pair_and_are_not_taken_for_the_known_set():
    images = layouts.mask_images(archive("images/7.nii.gz", "masks/7.nii"))[1]
    assert [(image.path, image.mask_path, image.number) for image in images] == [("images/7.nii.gz", "masks/7.nii", 7)]
    assert differences(images) == {}


def test_an_empty_class_or_split_folder_is_refused():
    with pytest.raises(InputError, match="folder 'Training/no_tumor' holds no image"):
        classes("Training/glioma/1.jpg", folders=("Training", "Training/glioma", "Training/no_tumor"))
    with pytest.raises(InputError, match="folder 'Training/notumor' holds no image"):
        classes("Training/glioma/1.jpg", "Training/notumor/readme.txt")
    with pytest.raises(InputError, match="folder 'Testing' holds no image"):
        classes("Training/glioma/1.jpg", folders=("Testing",))
    assert classes("glioma/1.jpg", folders=("__MACOSX/notumor", "docs"))


def test_a_set_without_images_is_refused():
    with pytest.raises(InputError, match=r"set.zip: holds no image; images end in .bmp, .jfif"):
        classes("glioma/scan.zip")
    with pytest.raises(InputError, match="holds no image"):
        layouts.mask_images(archive("images/readme.txt"))


def test_two_sets_in_one_archive_are_refused():
    with pytest.raises(InputError, match="found one in a/ and one in b/; name one"):
        classes("a/Training/glioma/1.jpg", "b/Training/glioma/1.jpg")


def test_class_folders_inside_and_outside_of_splits_are_refused():
    with pytest.raises(InputError, match="all lie in split folders or none"):
        classes("Training/glioma/1.jpg", "glioma/1.jpg")


def test_masked_slices_pair_by_number():
    wrapper, images = layouts.mask_images(
        archive(*(f"w/{kind}/{n}.png" for kind in ("images", "masks") for n in (2, 10)))
    )
    assert wrapper == "w/"
    assert [(image.path, image.mask_path, image.number) for image in images] == [
        ("images/10.png", "masks/10.png", 10),
        ("images/2.png", "masks/2.png", 2),
    ]
    assert {(image.set, image.label, image.split) for image in images} == {("masks", "", "")}


def test_unpaired_slices_are_refused():
    with pytest.raises(
        InputError, match=r"2 of 3 files have no partner of the same number in masks/, the first is images/2.png"
    ):
        layouts.mask_images(archive("images/1.png", "images/2.png", "images/3.png", "masks/1.png"))
    with pytest.raises(InputError, match=r"1 of 2 files have no partner .* in images/, the first is masks/2.png"):
        layouts.mask_images(archive("images/1.png", "masks/1.png", "masks/2.png"))


def test_masked_slices_with_other_names_or_equal_numbers_are_refused():
    with pytest.raises(InputError, match=r"images/<number>.png, received 'images/one.png'"):
        layouts.mask_images(archive("images/one.png", "masks/one.png"))
    with pytest.raises(InputError, match=r"images/<number>.png, received 'Training/glioma/1.jpg'"):
        layouts.mask_images(archive("Training/glioma/1.jpg"))
    with pytest.raises(InputError, match=r"images/01.png and images/1.png have the same number"):
        layouts.mask_images(archive("images/01.png", "images/1.png", "masks/1.png"))


def cases(*numbers: int, case: str = "TCGA_CS_4941_19960909", masks: tuple[int, ...] | None = None) -> list[str]:
    files = [f"{case}/{case}_{number}.tif" for number in numbers]
    return files + [f"{case}/{case}_{number}_mask.tif" for number in (numbers if masks is None else masks)]


def test_slices_in_a_folder_a_case_pair_by_name_and_are_numbered_through():
    files = [*cases(10, 2), *cases(1, case="TCGA_DU_5849_19950405"), *cases(3, case="Own_case")]
    wrapper, images = layouts.case_images(archive(*(f"w/kaggle_3m/{name}" for name in files)))
    assert wrapper == "w/kaggle_3m/"
    assert [(image.path.split("/")[1], image.number, image.patient) for image in images] == [
        ("Own_case_3.tif", 1, "Own_case"),
        ("TCGA_CS_4941_19960909_10.tif", 3, "TCGA_CS_4941_19960909"),
        ("TCGA_CS_4941_19960909_2.tif", 2, "TCGA_CS_4941_19960909"),
        ("TCGA_DU_5849_19950405_1.tif", 4, "TCGA_DU_5849_19950405"),
    ]
    assert all(image.mask_path == image.path.replace(".tif", "_mask.tif") for image in images)
    assert differences(images) == {}
    assert differences(layouts.case_images(archive(*cases(1, 2)))[1]) == {"pairs": {"expected": 3929, "found": 2}}


def test_slices_of_a_case_without_their_partner_are_refused():
    with pytest.raises(
        InputError, match=r"1 of 2 files have no partner of the same number with _mask in its name, .*_2.tif; "
    ):
        layouts.case_images(archive(*cases(1, 2, masks=(1,))))
    with pytest.raises(
        InputError, match=r"1 of 2 files have no partner of the same number without _mask .* is .*_19960909_2_mask.tif"
    ):
        layouts.case_images(archive(*cases(1, masks=(1, 2))))


@pytest.mark.parametrize("name", ["a/b_1.tif", "a/a.tif", "a_1.tif", "a/a_1.jpg", "a/a_x.tif", "a/a_1_seg.tif"])
def test_other_names_among_slices_of_a_case_are_refused(name):
    with pytest.raises(InputError, match=rf"should be <case>/<case>_<n>.tif and .*, received '{name}'; for another"):
        layouts.case_images(archive(*cases(1), name))


def test_two_sets_of_cases_that_differ_are_refused():
    with pytest.raises(InputError, match="should hold one set, found one in a/ and one in b/; name one"):
        layouts.case_images(archive(*(f"a/{name}" for name in cases(1)), *(f"b/{name}" for name in cases(2))))


def test_counts_of_the_known_sets_are_compared():
    nickparvar = layouts.class_images(archive("Training/notumor/Tr-no_1.jpg", "Testing/glioma/Te-gl_1.jpg"))[1]
    found = differences(nickparvar)
    assert found["train/notumor"] == {"expected": 1595, "found": 1}
    assert found["test/pituitary"] == {"expected": 300, "found": 0}
    assert differences(layouts.class_images(archive(*SARTAJ))[1])["train/notumor"] == {
        "expected": 395,
        "found": 1,
    }
    cheng = [f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(1, 3065)]
    assert differences(layouts.mask_images(archive(*cheng))[1]) == {}
    assert differences(layouts.mask_images(archive(*cheng[1:3064], *cheng[3065:]))[1]) == {
        "pairs": {"expected": 3064, "found": 3063}
    }


def test_sets_that_are_not_known_have_no_expected_counts():
    assert differences(layouts.class_images(archive("Training/glioma/1.jpg", "Testing/glioma/2.jpg"))[1]) == {}
    assert differences(layouts.class_images(archive("glioma/1.jpg"))[1]) == {}
    assert differences(layouts.mask_images(archive("images/9000.png", "masks/9000.png"))[1]) == {}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (SARTAJ, "classes"),
        (["glioma/1.dcm"], "classes"),
        (["a/images/1.png", "a/masks/1.png"], "masks"),
        (["MASKS/0001.nii.gz"], "masks"),
        (["masks/notumor/1.png"], "classes"),
        (["w/a/a_1.tif", "w/a/a_1_mask.tif"], "masks"),
        (["glioma/glioma_1.tif"], "classes"),
        ([], "classes"),
    ],
)
def test_a_layout_is_recognised_by_names(files, kind):
    assert layouts.layout_of(files).kind == kind


def test_where_no_layout_of_a_kind_fits_one_says_what_is_wrong():
    with pytest.raises(InputError, match=r"should be images/<number>\.png"):
        layouts.layout_of(SARTAJ, "masks").images(archive(*SARTAJ))


def test_every_layout_has_its_key_in_params_and_its_shape_in_the_docs():
    page = (Path(__file__).parents[2] / "docs/your-own-images.md").read_text()
    for layout in layouts.LAYOUTS:
        assert layout.kind in fetch.LocalParams.model_fields
        assert layout.kind in fetch.KaggleParams.model_fields
        assert f"| `{layout.kind}` | a folder, a `.zip` or a `.tar` of `{layout.shape}` |" in page
