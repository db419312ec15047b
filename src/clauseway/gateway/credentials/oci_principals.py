"""OCI's principals: the instance or the resource that the gateway runs on, through the vendor's
library.

The vendor's signer federates: it shows the machine's certificate and gets a token for a key that it
made. Both become the credential, and requests are signed here as with any other key.
`settings["federation_endpoint"]` is for realms that the library does not know.
"""

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from oci.auth.signers import InstancePrincipalsSecurityTokenSigner, get_resource_principals_signer

from clauseway.gateway.clouds.dialect import Credential
from clauseway.gateway.credentials.jwt import expiry_s
from clauseway.gateway.plan import Auth


class _Principal:
    recheck_s = 0.0

    def __init__(self, auth: Auth) -> None:
        self._of_instance = auth.kind == "oci-instance"
        endpoint = auth.settings.get("federation_endpoint")
        self._options = {"federation_endpoint": endpoint} if endpoint else {}

    def fetch(self) -> Credential:
        """A new signer each time: it federates when it is made."""
        if self._of_instance:
            signer = InstancePrincipalsSecurityTokenSigner(**self._options)
        else:
            signer = get_resource_principals_signer()
        key_id: str = signer.api_key
        pem: bytes = signer.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return Credential(
            kind="signature",
            secret=pem.decode(),
            key_id=key_id,
            expires_s=expiry_s(key_id.removeprefix("ST$")),
        )


source = _Principal
