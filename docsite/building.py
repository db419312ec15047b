"""The whole site: its pages written into a folder, and MkDocs run over them, strictly."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from docsite.staging import stage

_CONFIGURATION = Path(__file__).with_name("mkdocs.yml")


class SiteFault(Exception):
    """MkDocs refuses a page, a link or an anchor; says which."""


def build(libraries: Path, site: Path) -> None:
    """Build the site into a folder, with MkDocs and its theme from `libraries`. Raise SiteFault."""
    with tempfile.TemporaryDirectory() as source:
        stage(Path(source))
        settings = {
            "PYTHONPATH": str(libraries.resolve()),
            "SITE_SOURCE": source,
            "SITE": str(site.resolve()),
            "NO_MKDOCS_2_WARNING": "1",
        }
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
        done = subprocess.run(
            [*command, "--config-file", str(_CONFIGURATION)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | settings,
        )
    if done.returncode:
        raise SiteFault(done.stdout + done.stderr)
