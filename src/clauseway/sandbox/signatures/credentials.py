"""The fixed demonstration credentials of the simulated clouds. They open nothing but the sandbox.

Tokens that a constant holds are good until 2100, so that they need not be fetched; the embedded
token endpoints (`/{tenant}/oauth2/v2.0/token` at Azure's port, `/token` at Vertex AI's) hand out
tokens that last an hour.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clauseway.sandbox.signatures.rsa import KeyPair, prime_after
from clauseway.sandbox.signatures.tokens import encode_segment, sign_token

# Both keys can be read in their primes: whoever finds one knows at once that it is no secret.
_SAYS: Final = "NOT A SECRET: EVERYBODY HAS IT, IT OPENS NOTHING BUT THE SANDBOX"
# The callers' own key: Google's service account and Oracle's users sign with it.
DEMONSTRATION_KEY: Final = KeyPair(
    prime_after(f"CLAUSEWAY SANDBOX DEMONSTRATION KEY, FIRST PRIME. {_SAYS}", 133),
    prime_after(f"CLAUSEWAY SANDBOX DEMONSTRATION KEY, OTHER PRIME. {_SAYS}", 87),
)
# With this one the sandbox signs the tokens that it issues.
ISSUER_KEY: Final = KeyPair(
    prime_after(f"CLAUSEWAY SANDBOX TOKEN ISSUER KEY, FIRST PRIME. {_SAYS}", 2689),
    prime_after(f"CLAUSEWAY SANDBOX TOKEN ISSUER KEY, OTHER PRIME. {_SAYS}", 673),
)
ISSUER_KEY_ID: Final = "sandbox-issuer"
_YEAR_2026: Final = 1_767_225_600
_YEAR_2100: Final = 4_102_444_800

OPENAI_API_KEY: Final = "sk-sandbox-openai-not-a-secret"

ANTHROPIC_API_KEY: Final = "sk-ant-sandbox-not-a-secret"

AZURE_API_KEY: Final = "sandbox-azure-api-key-not-a-secret"
AZURE_REGION: Final = "eastus2"
AZURE_TENANT_ID: Final = "5a9db0c5-0000-4000-8000-000000000001"
AZURE_CLIENT_ID: Final = "5a9db0c5-0000-4000-8000-000000000002"
AZURE_CLIENT_SECRET: Final = "sandbox~azure~client~secret~not~a~secret"
AZURE_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
AZURE_AUDIENCE: Final = "https://cognitiveservices.azure.com"

BEDROCK_API_KEY: Final = "bedrock-api-key-sandbox-not-a-secret"
AWS_ACCESS_KEY_ID: Final = "AKIASANDBOXNOTSECRET"
AWS_SECRET_ACCESS_KEY: Final = "sandbox/not/a/secret/only/for/the/sandbox"
# Temporary credentials (as an assumed role has them): these work only together with their session
# token.
AWS_SESSION_ACCESS_KEY_ID: Final = "ASIASANDBOXNOTSECRET"
AWS_SESSION_SECRET_ACCESS_KEY: Final = "sandbox/not/a/secret/for/sessions/either"
AWS_SESSION_TOKEN: Final = "sandbox-session-token-not-a-secret"
# The scope that a signature must name: the service is mantle's, or that of the runtime.
AWS_REGION: Final = "us-east-1"
AWS_SERVICE: Final = "bedrock-mantle"
AWS_RUNTIME_SERVICE: Final = "bedrock"

GOOGLE_PROJECT: Final = "sandbox-project"
GOOGLE_LOCATION: Final = "us-central1"
GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
GOOGLE_CLIENT_EMAIL: Final = f"sandbox@{GOOGLE_PROJECT}.iam.gserviceaccount.com"

OCI_TENANCY: Final = "ocid1.tenancy.oc1..sandboxnotasecret"
OCI_USER: Final = "ocid1.user.oc1..sandboxnotasecret"
OCI_COMPARTMENT: Final = "ocid1.compartment.oc1..sandboxnotasecret"
OCI_REGION: Final = "us-chicago-1"
OCI_FINGERPRINT: Final = DEMONSTRATION_KEY.public.fingerprint
OCI_API_KEY: Final = "sandbox-oci-genai-key-not-a-secret"


def private_key_pem() -> str:
    """Return the demonstration key as PKCS #8, for Google's service account and Oracle's
    signers."""
    return DEMONSTRATION_KEY.pem


def entra_token(
    issued_s: int = _YEAR_2026,
    expires_s: int = _YEAR_2100,
    audience: str = AZURE_AUDIENCE,
    tenant: str = AZURE_TENANT_ID,
    key: KeyPair = ISSUER_KEY,
) -> str:
    """Return a Microsoft Entra access token of the demonstration client."""
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{tenant}/",
        "iat": issued_s,
        "nbf": issued_s,
        "exp": expires_s,
        "appid": AZURE_CLIENT_ID,
        "tid": tenant,
        "ver": "1.0",
    }
    return sign_token(claims, key, ISSUER_KEY_ID)


def google_token(
    expires_s: int = _YEAR_2100, scope: str = GOOGLE_SCOPE, key: KeyPair = ISSUER_KEY
) -> str:
    """Return a Google OAuth access token of the demonstration service account; to a caller it is
    opaque."""
    return "ya29." + sign_token(
        {"email": GOOGLE_CLIENT_EMAIL, "scope": scope, "exp": expires_s}, key, ISSUER_KEY_ID
    )


def google_service_account(token_uri: str) -> dict[str, str]:
    """Return the contents of a service account's key file.

    `token_uri` is the sandbox's `/token`.
    """
    return {
        "type": "service_account",
        "project_id": GOOGLE_PROJECT,
        "private_key_id": "sandbox-demonstration",
        "private_key": private_key_pem(),
        "client_email": GOOGLE_CLIENT_EMAIL,
        "client_id": "100000000000000000000",
        "token_uri": token_uri,
    }


def credential_files(folder: Path, token_uri: str) -> dict[str, str]:
    """Return the files that the vendors' own SDKs look for in a folder, by name.

    `google-service-account.json` for GOOGLE_APPLICATION_CREDENTIALS, `oci-config` with its
    `oci-key.pem` for OCI_CONFIG_FILE, `aws-credentials` for AWS_SHARED_CREDENTIALS_FILE (with a
    profile `session`), and `azure.env` with what azure-identity reads from the environment.
    """
    oci = {
        "user": OCI_USER,
        "fingerprint": OCI_FINGERPRINT,
        "tenancy": OCI_TENANCY,
        "region": OCI_REGION,
        "key_file": str(folder / "oci-key.pem"),
    }
    aws = {"aws_access_key_id": AWS_ACCESS_KEY_ID, "aws_secret_access_key": AWS_SECRET_ACCESS_KEY}
    session = {
        "aws_access_key_id": AWS_SESSION_ACCESS_KEY_ID,
        "aws_secret_access_key": AWS_SESSION_SECRET_ACCESS_KEY,
        "aws_session_token": AWS_SESSION_TOKEN,
    }
    azure = {
        "AZURE_TENANT_ID": AZURE_TENANT_ID,
        "AZURE_CLIENT_ID": AZURE_CLIENT_ID,
        "AZURE_CLIENT_SECRET": AZURE_CLIENT_SECRET,
    }
    return {
        "google-service-account.json": json.dumps(google_service_account(token_uri), indent=2)
        + "\n",
        "oci-config": _ini({"DEFAULT": oci}),
        "oci-key.pem": private_key_pem(),
        "aws-credentials": _ini({"default": aws, "session": session}),
        "azure.env": "".join(f"{name}={value}\n" for name, value in azure.items()),
    }


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    return "\n".join(
        f"[{title}]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())
        for title, fields in sections.items()
    )


def oci_session_token(expires_s: int = _YEAR_2100, key: KeyPair = ISSUER_KEY) -> str:
    """Return the security token of an instance or resource principal: it names the public key
    that it signs with."""
    public = DEMONSTRATION_KEY.public
    # A JWK holds modulus and exponent as big-endian bytes in base64url (RFC 7518, 6.3.1).
    modulus, exponent = public.modulus.to_bytes(256), public.exponent.to_bytes(3)
    jwk = {
        "kty": "RSA",
        "alg": "RS256",
        "n": encode_segment(modulus),
        "e": encode_segment(exponent),
    }
    claims = {
        "sub": OCI_TENANCY,
        "ptype": "resource",
        "tenant": OCI_TENANCY,
        "exp": expires_s,
        "jwk": jwk,
    }
    return sign_token(claims, key, ISSUER_KEY_ID)


AZURE_ENTRA_TOKEN: Final = entra_token()
