"""Tokens of Microsoft Entra ID, through the vendor's library.

`secret` with `settings["tenant_id"]` and `["client_id"]`: a client secret. `["token_file"]` with
them: workload identity. Otherwise the vendor's default chain, where `client_id` names a managed
identity. `["scope"]` is what the token is for; `["authority"]` (https) another than the public
cloud's, which then is not asked about itself.
"""

import logging
from typing import Any

from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    WorkloadIdentityCredential,
)

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput

_SCOPE = "https://cognitiveservices.azure.com/.default"
_NAMED = ("tenant_id", "client_id")
# A failure is raised too, and reported once.
logging.getLogger("azure.identity").setLevel(logging.CRITICAL)


class _Entra:
    recheck_s = 0.0

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        missing = [name for name in _NAMED if auth.secret and not auth.settings.get(name)]
        if missing:
            raise InvalidInput.of(
                what="a client secret without its identity",
                why=f"there is a secret, but no {' and no '.join(missing)}",
                where="auth.settings",
                remedy=f"Write {' and '.join(missing)}.",
            )

    def fetch(self) -> Credential:
        """A new vendor object each time: the one before would answer from its cache, also after a
        refusal."""
        credential = self._credential()
        try:
            token = credential.get_token(self._auth.settings.get("scope", _SCOPE))
        finally:
            getattr(credential, "close", lambda: None)()
        return Credential(kind="bearer", secret=token.token, expires_s=token.expires_on)

    def _credential(self) -> TokenCredential:
        settings = self._auth.settings
        options: dict[str, Any] = {}
        if settings.get("authority"):
            options = {"authority": settings["authority"], "disable_instance_discovery": True}
        tenant, client = (settings.get(name) or None for name in _NAMED)
        if self._auth.secret:
            assert tenant is not None, "checked when the source was opened"
            assert client is not None, "checked when the source was opened"
            return ClientSecretCredential(tenant, client, self._auth.secret, **options)
        if settings.get("token_file"):
            file = settings["token_file"]
            return WorkloadIdentityCredential(
                tenant_id=tenant, client_id=client, token_file_path=file, **options
            )
        # The chain tries a machine's managed identity and a pod's workload identity: name both.
        if client:
            options |= {"managed_identity_client_id": client, "workload_identity_client_id": client}
        # Nobody sits at a gateway's screen.
        return DefaultAzureCredential(exclude_interactive_browser_credential=True, **options)


source = _Entra
