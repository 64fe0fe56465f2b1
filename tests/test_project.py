"""The papers of the project are true: links, the README's tree, commands, tables, Makefile, workflows, locks."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import to_hydra_overrides

from brainmri.comparison import patients_chart
from brainmri.project import published, results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXT = "\n".join(page.read_text() for page in PAGES)


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_readme_says_first_that_this_is_not_for_clinical_use():
    assert README.splitlines()[2].startswith("**Not for clinical use.**")


def test_the_tables_are_those_of_the_results():
    assert list((ROOT / "results").glob("*.json"))
    assert all(page.read_text() == text for page, text in results.pages(ROOT).items())


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.json")), ids=lambda path: path.name)
def test_every_published_run_says_whose_test_images_its_network_has_learnt_from(path):
    run = json.loads(path.read_text())
    known, seen = run["test_patients"]["known"], run["test_patients"]["seen_in_training"]
    title = "On unseen patients" if "folds" in run else "Every run, in one line"
    page = (ROOT / "docs/results.md").read_text()
    lines = page.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith(f"| {run['name']} |")]
    said = f"yes, {seen} of {known}" if seen else f"none of {known}" if known else "not known"
    assert all(said in row.split("|")[2] for row in rows)
    # Of one whose own scores are another's, what it adds stands alone.
    elsewhere = [line for line in page.splitlines() if line.startswith(f"| {run['name']}, scored on ")]
    assert rows or all(row.split("|")[2].split()[0] in ("none", "yes,") for row in elsewhere)
    assert rows or elsewhere


def test_the_chart_shows_the_rows_of_the_results():
    runs, others = published.published(ROOT)
    shown = re.findall(r"<text[^>]*>(0\.\d{3}[^<]* of [^<]*)</text>", (ROOT / patients_chart.PICTURE).read_text())
    assert shown == [patients_chart.figures_of(row) for row in patients_chart.rows_of(runs.values(), others)]


def test_the_readme_is_one_screen():
    assert len(README.encode()) <= 8000


def test_the_readme_says_what_it_takes_and_gives_in_its_second_sentence():
    second = README.split("**Not for clinical use.**")[1].split(". ")[0]
    for fact in ("2-D slices", "one channel of grey", "three windows", "one tumour mask"):
        assert fact in " ".join(second.split())


def test_the_readme_has_three_headline_rows_and_says_which_is_not_measured():
    table = README.split(results.BEGIN)[1].split(results.END)[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(results.HEADLINE) == 4
    assert [results.NOT_MEASURED in line for line in rows] == [row.file is None for row in results.HEADLINE]


@pytest.mark.parametrize("word", ["twin", "neighbour"])
def test_a_word_of_our_own_is_explained_or_linked_where_it_first_stands_on_a_page(word):
    for page in PAGES[1:]:  # the README does without them, see below
        prose = re.sub(r"```.*?```|`[^`\n]*`|^#[^\n]*", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        first = next(
            (part for part in prose.split("\n\n") if re.search(rf"\b{word}(s|-free)?\b", part, re.IGNORECASE)), None
        )
        assert first is None or re.search(rf"\*{word}s?\*|\(twins\.md", first, re.IGNORECASE), page.name


def test_the_readme_does_without_words_of_our_own():
    assert not re.search(r"\b(twins?|units?|neighbours?)\b", README.replace("docs/twins.md", ""))


def test_every_place_in_the_tree_exists():
    tree = README.split("## The rooms")[1].split("```")[1]
    named, above = [], ""
    for line in tree.strip().splitlines():
        names = re.match(r"( *)([\w./]+)(?:  ([\w./]+/|[\w.]+\.lock))?  ", line)
        above = above if names[1] else names[2]
        named += [above + names[2]] if names[1] else [name for name in names.groups()[1:] if name]
    made = {"models/"}
    assert len(named) >= 20
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []


def test_the_tree_has_every_room():
    assert set(re.findall(r"^  (\w+)/ ", README, re.MULTILINE)) == {
        path.parent.name for path in (ROOT / "brainmri").glob("*/__init__.py")
    }


def anchors(page):
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_links_anchors_and_pictures_exist(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), link
        assert not anchor or anchor in anchors(to), link


def test_every_new_name_of_a_module_in_the_changelog_exists():
    rows = re.findall(r"^\| `(.+)` \| `([\w/]+\.py)` \|$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(rows) > 20
    assert [new for _, new in rows if not (ROOT / "brainmri" / new).exists()] == []
    assert [old for old, _ in rows if (ROOT / "brainmri" / old).exists()] == []


def test_every_docs_page_is_named_in_the_readme():
    assert [page.name for page in sorted((ROOT / "docs").glob("*.md")) if f"docs/{page.name}" not in README] == []


def test_every_make_target_that_is_named_exists():
    text = TEXT + (ROOT / ".ci/run").read_text()
    named = set(re.findall(r"(?:`|\$ |^)make ([a-z-]+)", text, re.MULTILINE))
    assert {"repro", "test-all", "push", "pull"} <= named <= targets()


def test_every_command_that_is_named_exists():
    printed = subprocess.run(
        [sys.executable, "-m", "brainmri", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    written = re.sub(f"{results.BEGIN}.*?{results.END}", "", TEXT, flags=re.DOTALL)  # runs have those of their commit
    named = set(re.findall(r"(?:`|\$ )brainmri ([a-z-]+)", written))
    assert {"predict", "compare", "check", "suspects"} <= named
    assert named <= set(re.findall(r"^ +([a-z][a-z-]+)(?: |$)", printed, re.MULTILINE))


def test_every_parameter_that_is_named_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    named = re.findall(r"(?:-S |GRID=\"?)([\w.]+)=", TEXT)
    assert len(named) > 20
    for key in named:
        place = params
        for part in key.split("."):
            assert part in place, key
            place = place[part]


def test_every_preset_that_is_named_exists():
    named = set(re.findall(r"PRESET=([a-z][\w-]+)|brainmri run ([a-z][\w-]+)", TEXT))
    named = {name for pair in named for name in pair if name not in ("", "name")}
    assert len(named) > 4
    assert [name for name in named if not (ROOT / f"presets/{name}.yaml").exists()] == []


def test_every_file_of_the_project_that_a_page_names_exists():
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # names what was
            continue
        for name in re.findall(r"`((?:brainmri|stages|app|tests|benchmarks|results)/[\w./-]*\w)`", page.read_text()):
            assert name == "results/FILE.json" or (ROOT / name).exists(), f"{page.name}: {name}"


def pins(name):
    return dict(re.findall(r"^([a-z0-9][^=\s]*)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


LOCKS = [path.name for path in sorted(ROOT.glob("requirements*.lock"))]


def test_the_lock_for_a_gpu_adds_cuda_alone():
    more = pins("requirements-gpu.lock").items() - pins("requirements.lock").items()
    assert more
    assert all(name.startswith("nvidia-") for name, _ in more)
    assert pins("requirements.lock").items() < pins("requirements-gpu.lock").items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-app.lock", "requirements-test.lock"])
def test_lock_files_pin_what_they_share_alike(name):
    assert pins("requirements.lock").items() <= pins(name).items() < pins("requirements-all.lock").items()


def test_what_runs_needs_neither_tests_nor_the_page():
    assert not {"pytest", "mypy", "ruff", "hypothesis", "streamlit", "fastapi", "playwright"} & set(pins(LOCKS[-1]))
    assert LOCKS[-1] == "requirements.lock"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_index_and_pins_every_package_with_hashes(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    packages = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
    assert len(packages) > 100
    assert all("==" in line for line in packages)
    assert all("--hash=sha256:" in part for part in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:])


# Jobs that may do more than read the code, by workflow: they run nothing of a pull request.
MORE_RIGHTS = {"compare-comment.yml": {"comment": {"actions": "read", "pull-requests": "write"}}}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
def test_actions_are_pinned_and_have_few_rights(path):
    text = path.read_text()
    workflow = yaml.safe_load(text)
    more = MORE_RIGHTS.get(path.name, {})
    assert workflow["permissions"] == ({} if more else {"contents": "read"})
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == more
    assert "pull_request_target" not in text
    assert "secrets." not in text
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")  # what a branch is called would be run
            if "uses" in step:
                assert not more
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
                assert re.search(rf"{step['uses']} # v\d+\.\d+\.\d+$", text, re.MULTILINE)
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_one_action_has_one_version():
    used = set(re.findall(r"uses: (.*)", "\n".join(path.read_text() for path in WORKFLOWS)))
    assert len(used) == len({line.partition("@")[0] for line in used})


def test_git_tracks_no_data_and_no_private_path():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    made = [name for name in tracked if name.startswith(("data/", "models/"))]
    assert made == ["data/README.md"]  # which says what will stand there
    for name in tracked:
        if Path(name).suffix in {".py", ".md", ".yaml", ".json", ".lock", ".toml", ".csv"}:
            assert not re.search(r"(?<![\w.])/(home/(?!me/)|Users/|root/)", (ROOT / name).read_text()), name


def test_git_ignores_every_cached_out_of_the_pipeline():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    outs = [out for stage in stages for out in stage.get("outs", []) if isinstance(out, str)]
    names = [*outs, "data/scan.png", "dvc_plots/index.html"]  # the last is what `dvc plots show` writes
    ignored = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    assert ignored.stdout.split() == names


@pytest.mark.parametrize(
    "stage", ["fetch", "preprocess", "probe", "augment", "train", "train_unet", "evaluate", "segment", "report"]
)
def test_every_stage_has_its_tests(stage):
    assert (ROOT / f"tests/stages/test_{stage}.py").exists()


def test_every_param_of_a_documented_command_is_one_that_dvc_can_read():
    commands = re.findall(r"dvc exp run(?:\\\n|[^`\n])*", TEXT)
    words = [word for command in commands for word in shlex.split(command.replace("\\\n", " "), comments=True)]
    values = [words[at + 1] for at, word in enumerate(words) if word == "-S"]
    assert "fetch.local.classes='/home/me/archive (1).zip'" in values
    assert len(to_hydra_overrides(values)) == len(values)


def asked(*words: str) -> list[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_git_changes_no_line_end():
    told = asked("check-attr", "text", "--", *asked("ls-files"))
    assert {line.rpartition(": ")[2] for line in told} == {"unset"}
