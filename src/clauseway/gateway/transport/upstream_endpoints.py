"""The endpoints of a process: one per address for as long as it lives, so that a new plan keeps
open connections."""

import ssl
from asyncio import AbstractEventLoop

from clauseway.gateway.clouds.dialect import Address
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.transport.tls import identity, toward_clouds
from clauseway.gateway.transport.upstream import Endpoint


class Endpoints:
    """Made as they are asked for. TLS is loaded when the first of them needs it."""

    def __init__(self, loop: AbstractEventLoop, limits: Limits, tls: TlsSettings) -> None:
        self._loop = loop
        self._limits = limits
        self._tls = tls
        self._seen = identity(tls.upstream_ca)
        self._context: ssl.SSLContext | None = None
        self._endpoints: dict[tuple[str, str, int], Endpoint] = {}

    def at(self, address: Address) -> Endpoint:
        """Raises InvalidInput where the authority that the settings name is none."""
        key = (address.scheme, address.host, address.port)
        if key not in self._endpoints:
            if address.scheme == "https" and self._context is None:
                self._context = toward_clouds(self._tls)
            tls = self._context if address.scheme == "https" else None
            self._endpoints[key] = Endpoint(
                address.host, address.port, self._loop, self._limits, tls
            )
        return self._endpoints[key]

    def is_outdated(self, tls: TlsSettings) -> bool:
        """Return whether another authority is named, or lies there, than the one in use."""
        seen = identity(tls.upstream_ca)
        if (tls.upstream_ca, seen) == (self._tls.upstream_ca, self._seen):
            return False
        self._seen = seen  # where it cannot be used, that is said once
        return True

    def trust(self, tls: TlsSettings) -> None:
        """Check clouds by this from the next request on. Raises InvalidInput with nothing
        changed."""
        context = toward_clouds(tls) if self._context is not None else None
        self._tls, self._context = tls, context
        for (scheme, _, _), endpoint in self._endpoints.items():
            if scheme == "https":
                endpoint.trust(context)

    def limit(self, limits: Limits) -> None:
        self._limits = limits
        for endpoint in self._endpoints.values():
            endpoint.limits = limits

    def grow_older(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.grow_older()

    def close(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.close()
