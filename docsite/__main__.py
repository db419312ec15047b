"""`python -m docsite LIBRARIES SITE`: build the site with MkDocs from that folder of libraries."""

import sys
from pathlib import Path

from docsite.building import SiteFault, build

try:
    build(Path(sys.argv[1]), Path(sys.argv[2]))
except SiteFault as fault:
    sys.exit(str(fault))
