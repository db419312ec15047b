"""The whole site: its pages written into a folder, and MkDocs run over them, strictly."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from docsite.staging import stage

_CONFIGURATION = Path(__file__).with_name("mkdocs.yml")
# A server shows the first for any address, so its links begin at the server's root; the others list addresses.
_OF_A_SERVER = ("404.html", "sitemap.xml", "sitemap.xml.gz")


class SiteFault(Exception):
    """MkDocs refuses a page, a link or an anchor; says which."""


def build(libraries: Path, site: Path, address: str = "") -> None:
    """Build the site into a folder, with MkDocs and its theme from `libraries`. Raise SiteFault.

    Without the address at which it will be served it has no page for what a server does not find:
    opened from a disk, every link there would lead nowhere.
    """
    with tempfile.TemporaryDirectory() as source:
        stage(Path(source))
        settings = {
            "PYTHONPATH": str(libraries.resolve()),
            "SITE_SOURCE": source,
            "SITE": str(site.resolve()),
            "SITE_URL": address,
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
    if not address:
        for name in _OF_A_SERVER:
            (site / name).unlink(missing_ok=True)
