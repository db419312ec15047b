"""AWS credentials from the vendor's whole chain: environment, profile (`settings["profile"]`), SSO,
assumed role, web identity, process, container, instance."""

from datetime import datetime

from botocore.session import Session  # type: ignore[import-untyped]

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.plan import Auth


class _Chain:
    recheck_s = 0.0

    def __init__(self, auth: Auth) -> None:
        self._profile = auth.settings.get("profile") or None

    def fetch(self) -> Credential:
        """Return the credentials of a new session, which reads environment and files anew and holds
        nothing from before. Raises LookupError where the chain gives none."""
        credentials = Session(profile=self._profile).get_credentials()
        if credentials is None:
            raise LookupError("nothing in the whole chain gives credentials")
        frozen = credentials.get_frozen_credentials()
        # The library has no public name for the end; without it, a role's credentials would be
        # taken for credentials that never end.
        end: datetime | None = getattr(credentials, "_expiry_time", None)
        return Credential(
            kind="sigv4",
            secret=frozen.secret_key,
            access_key=frozen.access_key,
            session_token=frozen.token or "",
            expires_s=int(end.timestamp()) if end is not None else 0,
        )


source = _Chain
