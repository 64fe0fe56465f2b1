"""The script that comments on pull requests, taken out of its workflow and run against a `gh` that only records."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parent.parent / ".github/workflows/compare-comment.yml"
SHA = "0123456789abcdef0123456789abcdef01234567"
# Answers from the folder it stands in, one file a kind of request; what is sent is kept there.
GH = """#!{python}
import json, sys
from pathlib import Path
here, words = Path(__file__).parent, sys.argv[1:]
address = next(word for word in words if word.startswith("repos/"))
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
if "--input" in words:
    (here / "sent").write_bytes(sys.stdin.buffer.read())
else:
    sys.stdout.buffer.write((here / address.split("?")[0].split("/")[-1]).read_bytes())
"""


def pull(number=7, sha=SHA, repository="us/brain"):
    return {"number": number, "head": {"sha": sha}, "base": {"repo": {"full_name": repository}}}


def archive(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name.replace("__", "."), text)
    return data.getvalue()


@pytest.fixture
def comment(tmp_path):
    """Return a function that runs the script on an artifact; it gives the words of the last call, and what was sent."""
    step = yaml.safe_load(WORKFLOW.read_text())["jobs"]["comment"]["steps"][0]
    assert step["shell"] == "python"
    (tmp_path / "script.py").write_text(step["run"])
    (tmp_path / "gh").write_text(GH.format(python=sys.executable))
    (tmp_path / "gh").chmod(0o755)

    def run(data, pulls=None, comments="", size=None, head=None, branch="change"):
        owner = {"owner": {"login": "someone"}} if head is None else head
        event = {
            "repository": {"full_name": "us/brain"},
            "workflow_run": {"id": 5, "head_repository": owner or None, "head_branch": branch, "head_sha": SHA,
                             "conclusion": "failure", "html_url": "https://github.com/us/brain/actions/runs/5"},
        }  # fmt: skip
        (tmp_path / "event.json").write_text(json.dumps(event))
        entry = {"id": 9, "size_in_bytes": len(data) if size is None else size}
        older = {"id": 8, "size_in_bytes": 1}
        (tmp_path / "artifacts").write_text(json.dumps({"artifacts": [entry, older] if data else []}))
        (tmp_path / "zip").write_bytes(data)
        (tmp_path / "pulls").write_text(json.dumps([pull()] if pulls is None else pulls))
        (tmp_path / "comments").write_text(comments)
        env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
        # 400 MB are plenty for what it may read, and too few for what an archive may unfold to.
        limited = f"ulimit -v 400000; exec {sys.executable} script.py"
        subprocess.run(["bash", "-c", limited], cwd=tmp_path, env=env, check=True, capture_output=True)
        calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        sent = tmp_path / "sent"
        return calls, json.loads(sent.read_text())["body"] if sent.exists() else None

    return run


def test_a_new_comment_says_where_its_text_is_from(comment):
    calls, body = comment(archive(summary__md="**accuracy 0.9 → 0.8**\n"))
    assert calls[-1] == ["api", "--method", "POST", "repos/us/brain/issues/7/comments", "--input", "-"]
    assert body.startswith("<!-- brainmri compare -->\n### Comparison of 01234567 with its target: failure\n")
    assert "[The run](https://github.com/us/brain/actions/runs/5) holds `report.html`" in body
    assert body.endswith("written by the code of this pull request.\n\n---\n\n**accuracy 0.9 → 0.8**\n")
    assert any("repos/us/brain/actions/artifacts/9/zip" in call for call in calls)


def test_a_comment_that_is_there_is_renewed(comment):
    calls, _ = comment(archive(summary__md="x"), comments="41\n42\n")
    assert calls[-1][1:4] == ["--method", "PATCH", "repos/us/brain/issues/comments/41"]


@pytest.mark.parametrize(
    "pulls",
    [
        [],
        [pull(sha="f" * 40)],  # pushed to since
        [pull(repository="someone/brain")],
        [pull(7), pull(8)],  # the same branch, offered twice
    ],
)
def test_without_one_open_pull_request_at_this_commit_nothing_is_sent(comment, pulls):
    calls, body = comment(archive(summary__md="x", number="7"), pulls=pulls)
    assert body is None
    assert not any("POST" in call or "PATCH" in call for call in calls)


def test_a_branch_name_is_never_part_of_a_command_or_an_address(comment):
    name = "x&state=all;$(touch hacked)@file"
    calls, body = comment(archive(summary__md="x"), branch=name)
    assert body is not None
    assert f"head=someone:{name}" in calls[0]
    assert calls[0][calls[0].index(f"head=someone:{name}") - 1] == "-f"  # as it stands; -F would read files


def test_a_fork_that_is_gone_is_no_failure(comment):
    _, body = comment(archive(summary__md="x"), pulls=[], head={})
    assert body is None


def test_no_mention_no_link_no_picture_no_html_gets_through(comment):
    text = (
        "@team <img src=x> ![p](https://evil.example/a.png) [a](/b) [c]: /d https://evil.example www.evil.example "
        "#12 GH-3 mailto:a@b\n### Scores\n"
    )
    _, body = comment(archive(summary__md=text))
    said = body.split("---\n\n")[1]
    for part in ("@team", "<", "](", "]:", "://", "www.", "#12", "GH-3", "mailto:", "a@b"):
        assert part not in said, part
    assert "### Scores" in said


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        archive(other="x"),
        archive(summary__md="x" * 1000)[:-30],
        archive(**{"../summary__md": "x"}),
        archive(summary__md="\n".join(str(at) for at in range(5000))).replace(b"0", b"1", 40),
    ],
)
def test_an_artifact_that_is_none_is_said_to_be(comment, data):
    _, body = comment(data)
    assert body.endswith("The artifact of the run holds no summary that can be read.")


def test_a_large_artifact_is_not_read_and_a_long_text_is_cut(comment):
    calls, body = comment(archive(summary__md="x"), size=20_000_001)
    assert body.endswith("larger than a comparison is, and was not read.")
    assert not any("/zip" in " ".join(call) for call in calls)
    _, body = comment(archive(summary__md="<" * 100_000_000))  # 100 MB in 100 kB
    assert body.endswith("The rest was cut off here.")
    assert len(body) < 65_536


def test_a_run_without_an_artifact_is_said_to_have_failed(comment):
    _, body = comment(b"")
    assert "No comparison could be made" in body
