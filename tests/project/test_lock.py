"""Each kind of drift between dvc.yaml, dvc.lock, params.yaml and the code is found."""

import hashlib

import pytest
import yaml

from brainmri.core.errors import ParamsError
from brainmri.core.params import Section
from brainmri.project import lock


class Model(Section):
    x: int


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def project(tmp_path):
    """A project of two stages in which everything agrees."""
    code = {"stages/one.py": "import brainmri.a\n", "stages/two.py": "", "brainmri/a.py": "1\n"}
    for name, text in code.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    stages = {
        "one": {
            "cmd": "python -m stages.one data",
            "params": ["one"],
            "deps": ["brainmri/a.py", "stages/one.py"],
            "outs": ["data"],
        },
        "two": {
            "cmd": "python -m stages.two data metrics",
            "deps": ["stages/two.py", "data"],
            "metrics": [{"metrics/a.json": {"cache": False}}],
        },
    }
    entries = {
        "one": {
            "cmd": "python -m stages.one data",
            "deps": [{"path": name, "md5": md5(code[name])} for name in ("brainmri/a.py", "stages/one.py")],
            "params": {"params.yaml": {"one": {"x": 1}}},
            "outs": [{"path": "data", "md5": "abc.dir"}],
        },
        "two": {
            "cmd": "python -m stages.two data metrics",
            "deps": [{"path": "data", "md5": "abc.dir"}, {"path": "stages/two.py", "md5": md5("")}],
            "outs": [{"path": "metrics/a.json", "md5": md5("{}")}],
        },
    }
    (tmp_path / "params.yaml").write_text("one: {x: 1}\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/a.json").write_text("{}")
    save(tmp_path, "dvc.yaml", {"stages": stages})
    save(tmp_path, "dvc.lock", {"schema": "2.0", "stages": entries})
    return tmp_path


def save(project, name, content):
    (project / name).write_text(yaml.safe_dump(content))


def edit(project, name, change):
    content = yaml.safe_load((project / name).read_text())
    change(content["stages"])
    save(project, name, content)


def found(project):
    return lock.problems(project, {"one": Model})


def test_the_table_of_a_module_is_listed_as_code_and_no_cmd_names_it(project):
    (project / "brainmri/a.csv").write_text("x\n")
    edit(project, "dvc.yaml", lambda s: s["one"]["deps"].insert(0, "brainmri/a.csv"))
    (problem,) = found(project)
    assert problem.startswith("dvc.lock: stage one: deps should be those of dvc.yaml")


def test_no_problem_where_everything_agrees(project):
    assert found(project) == []


def test_a_dep_that_a_param_names_is_looked_up(project):
    edit(project, "dvc.yaml", lambda stages: stages["two"].update(deps=["stages/two.py", "data/${one.x}"]))
    edit(project, "dvc.lock", lambda stages: stages["one"]["outs"][0].update(path="data/1"))
    edit(project, "dvc.lock", lambda stages: stages["two"]["deps"][0].update(path="data/1"))
    edit(project, "dvc.yaml", lambda stages: stages["one"].update(outs=["data/1"]))
    assert found(project) == []
    write("params.yaml", "one: {x: 2}\n")(project)
    assert any("stage two: deps should be those of dvc.yaml" in problem for problem in found(project))


def write(name, text):
    return lambda project: (project / name).write_text(text)


def edited(name, change):
    return lambda project: edit(project, name, change)


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        (write("brainmri/a.py", "2\n"), "brainmri/a.py has changed since the run"),
        (write("brainmri/a.py", "import brainmri.b\n"), "brainmri/a.py has changed"),
        (
            write("params.yaml", "one: {x: 2}\n"),
            "params should be those of params.yaml, received others",
        ),
        (write("params.yaml", "one: {y: 1}\n"), "y is not a known key"),
        (write("params.yaml", "one: {x: 1}\nthree: {}\n"), "sections should be"),
        (write("stages/two.py", "import brainmri.a\n"), "stage two: deps should list the code it imports"),
        (edited("dvc.yaml", lambda s: s["one"]["deps"].remove("brainmri/a.py")), "missing ['brainmri/a.py']"),
        (edited("dvc.yaml", lambda s: s["two"]["deps"].insert(0, "brainmri/a.py")), "too many ['brainmri/a.py']"),
        (
            write("brainmri/a.csv", "x\n"),
            "stage one: deps should list the code it imports, sorted; missing ['brainmri/a.csv']",
        ),
        (edited("dvc.yaml", lambda s: s["one"].pop("params")), "stage one: params should be ['one'], received []"),
        (
            edited("dvc.yaml", lambda s: s["two"].update(cmd="python -m stages.two data metrics --fast")),
            "the command should be `python -m stages.two data metrics --fast`",
        ),
        (
            edited("dvc.yaml", lambda s: s["two"].update(cmd="python -m stages.two data metrics other")),
            "cmd should name every dep and out that is no code, differs in ['other']",
        ),
        (edited("dvc.yaml", lambda s: s["two"].update(cmd="python -m stages.two metrics")), "differs in ['data']"),
        (
            edited("dvc.yaml", lambda s: s["two"].update(outs=["metrics/b"])),
            "stage two: outs should be",
        ),
        (
            edited("dvc.lock", lambda s: s["one"].pop("outs")),
            "outs should be those of dvc.yaml, received []",
        ),
        (edited("dvc.yaml", lambda s: s["two"]["deps"].append("more")), "deps should be those of dvc.yaml"),
        (write("metrics/a.json", "{1}"), "metrics/a.json: should be what stage two wrote"),
        (lambda project: (project / "metrics/a.json").unlink(), "metrics/a.json: should be what stage two wrote"),
        (write("metrics/old.json", "{}"), "metrics/old.json: should be written by a stage, received a file that none"),
        (edited("dvc.lock", lambda s: s.pop("two")), "stage two is missing"),
        (edited("dvc.lock", lambda s: s.update(old=s["two"])), "stage old is not in dvc.yaml"),
        (edited("dvc.lock", lambda s: s["two"]["deps"][0].update(md5="x.dir")), "data has changed since the run"),
    ],
)
def test_each_drift_is_named(project, drift, message):
    drift(project)
    assert any(message in problem for problem in found(project)), found(project)


PIPELINE = """\
# The pipeline.
stages:
  one:  # comments stay
    cmd: python -m stages.one data
    deps:
      - exclude.csv
      # code, by `brainmri verify-lock --write`
      - brainmri/old.py
    outs:
      - data
  two:
    deps:
      # code, by `brainmri verify-lock --write`
"""


def test_the_code_of_each_stage_is_written_below_its_line(project):
    (project / "dvc.yaml").write_text(PIPELINE)
    assert lock.write_deps(project) == ["one", "two"]
    assert (project / "dvc.yaml").read_text() == PIPELINE.replace(
        "      - brainmri/old.py\n", "      - brainmri/a.py\n      - stages/one.py\n"
    ) + "      - stages/two.py\n"
    assert lock.write_deps(project) == []
    (project / "brainmri/a.csv").write_text("x\n")  # a table that belongs to a module
    assert lock.write_deps(project) == ["one"]
    (project / "stages/one.py").write_text("")
    assert lock.write_deps(project) == ["one"]


def test_a_stage_without_the_line_is_named_and_nothing_is_written(project):
    text = PIPELINE[: PIPELINE.rindex("      #")] + "      - data\n"
    (project / "dvc.yaml").write_text(text)
    with pytest.raises(ParamsError, match="stage two: deps should hold the line `# code, by `brainmri verify-lock"):
        lock.write_deps(project)
    assert (project / "dvc.yaml").read_text() == text
