"""The commit that a record of a run names."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A run writes its record here, and the page is written from it: neither changes what was run.
_WRITTEN_BY_RUNS = (":!bench/evidence", ":!docs/evidence.md")


def described(root: Path = ROOT) -> str:
    """Return the commit of the tree, with `-dirty` behind it where a file differs that runs do not write."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN_BY_RUNS)
    return f"{commit}-dirty" if changed else commit


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
