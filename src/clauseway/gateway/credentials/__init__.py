"""Credentials: where what is presented to a cloud comes from, and how it is kept fresh off a
request's way.

An `Auth` of a static kind holds its secret itself. The others name a source, which is asked in a
thread of its own:

    source          the protocol, the one table of kinds, the vendor's failure as a problem
    cache           one credential per distinct Auth: fetched, refreshed ahead of its end, again
                    after a 401; jwt: when a token ends
    entra           Azure: client secret, workload identity, managed identity, developer log-in
    aws             AWS: the whole chain of botocore (environment, profile, SSO, assumed role,
                    container, instance)
    google          Google: application default credentials
    oci_user        OCI: a user's key, or a session's token, from ~/.oci/config
    oci_principals  OCI: the instance or the resource that the gateway runs on
    secret_file     a secret in a file that others replace
    outside         secrets that the plan names and does not hold

A vendor's library is loaded when a kind that needs it is used, never before, and in the thread that
fetches. Nothing here is fatal: a source that fails leaves its targets without credential and says
why. Knows no requests and no routes.
"""

from clauseway.gateway.credentials.cache import CredentialCache, CredentialState
from clauseway.gateway.credentials.source import (
    KINDS,
    STATIC,
    fetch,
    open_credential_source,
    problems_of,
    sent_kind,
    settings_read,
    takes_secret,
)

__all__ = [
    "KINDS",
    "STATIC",
    "CredentialCache",
    "CredentialState",
    "fetch",
    "open_credential_source",
    "problems_of",
    "sent_kind",
    "settings_read",
    "takes_secret",
]
