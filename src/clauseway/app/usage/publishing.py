"""Publishing the lake for engines that are not ours. The module needs the extra `iceberg`."""

import time

from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.storage.usage.publishing import Publication, publish


def publish_lake(home: Home) -> Publication:
    """Publish the home's sealed usage as an Iceberg table beside its files (see `publish`)."""
    with lake_locked(home), open_lake(home) as lake:
        return publish(lake, time.time_ns())
