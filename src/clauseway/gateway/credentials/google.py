"""Google's application default credentials, or the file that `settings["credentials_file"]` names:
an OAuth token."""

import logging
from datetime import UTC

import google.auth
import requests
from google.auth.transport.requests import Request

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.plan import Auth

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# It warns that there is no default project, and none is needed.
logging.getLogger("google.auth").setLevel(logging.ERROR)


class _Default:
    recheck_s = 0.0

    def __init__(self, auth: Auth) -> None:
        self._file = auth.settings.get("credentials_file", "")

    def fetch(self) -> Credential:
        with requests.Session() as session:
            transport = Request(session)
            if self._file:
                credentials, _ = google.auth.load_credentials_from_file(self._file, scopes=_SCOPES)  # type: ignore[no-untyped-call]
            else:
                credentials, _ = google.auth.default(scopes=_SCOPES, request=transport)
            credentials.refresh(transport)
        end = credentials.expiry  # in UTC, and naive
        return Credential(
            kind="bearer",
            secret=credentials.token,
            expires_s=int(end.replace(tzinfo=UTC).timestamp()) if end is not None else 0,
        )


source = _Default
