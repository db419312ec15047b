"""`python -m docsite LIBRARIES SITE [ADDRESS]`: build the site with MkDocs from that folder of libraries, to be opened
from a disk or served at an address."""

import sys
from pathlib import Path

from docsite.building import SiteFault, build

try:
    build(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
except SiteFault as fault:
    sys.exit(str(fault))
