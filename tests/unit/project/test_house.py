"""The house's own rules: what README, CI and make say agrees, and the locks name no place on any network or disk."""

import re
import stat
import subprocess
from pathlib import Path

import packaging.version
import pytest

TOP = Path(__file__).parents[3]


def test_ci_runs_what_the_readme_tells_everybody_to_run() -> None:
    readme = (TOP / "README.md").read_text()
    marked = re.search(r"<!-- test-command -->\n```\w*\n(.+)\n```\n<!-- /test-command -->", readme)
    assert marked, "README.md has lost its marked test command"
    assert marked[1] == "make test"
    assert "<!-- test-command -->" in (TOP / ".ci/run").read_text()
    assert re.search(r"^test:.*\n\t@scripts/test", (TOP / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("lock", sorted((TOP / "locks").iterdir()), ids=lambda path: path.name)
def test_a_lock_holds_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    for word in ("://", "--index", "--find-links", "--extra-index", "--trusted-host"):
        assert word not in text
    pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert pinned
    for line in pinned:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+.* \\$", line), f"not pinned with a hash: {line}"


def test_every_make_target_has_its_script() -> None:
    makefile = (TOP / "Makefile").read_text()
    called = re.findall(r"^\t@(scripts/[\w/-]+)", makefile, re.MULTILINE)
    assert {"scripts/run", "scripts/test", "scripts/check"} <= set(called)
    for name in called:
        assert stat.S_IMODE((TOP / name).stat().st_mode) & 0o111, f"{name} cannot be run"


def test_system_packages_refuses_an_unknown_set() -> None:
    done = subprocess.run([TOP / "scripts/system-packages", "nonsense"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_folder_packaging_hides_no_library() -> None:
    assert packaging.version.Version("1.10") > packaging.version.Version("1.9")
