"""The fixed demonstration credentials of the simulated clouds. They open nothing but the sandbox."""

from typing import Final

OPENAI_API_KEY: Final = "sk-sandbox-openai-not-a-secret"

AZURE_API_KEY: Final = "sandbox-azure-api-key-not-a-secret"
# Shaped like a Microsoft Entra access token (header.claims.signature), signed by nobody.
AZURE_ENTRA_TOKEN: Final = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJzYW5kYm94In0.not-a-signature"

BEDROCK_API_KEY: Final = "bedrock-api-key-sandbox-not-a-secret"
AWS_ACCESS_KEY_ID: Final = "AKIASANDBOXNOTSECRET"
AWS_SECRET_ACCESS_KEY: Final = "sandbox/not/a/secret/only/for/the/sandbox"
# Temporary credentials (as an assumed role has them): these work only together with their session token.
AWS_SESSION_ACCESS_KEY_ID: Final = "ASIASANDBOXNOTSECRET"
AWS_SESSION_SECRET_ACCESS_KEY: Final = "sandbox/not/a/secret/for/sessions/either"
AWS_SESSION_TOKEN: Final = "sandbox-session-token-not-a-secret"

# The scope that a signature must name.
AWS_REGION: Final = "us-east-1"
AWS_SERVICE: Final = "bedrock-mantle"
AZURE_REGION: Final = "eastus2"
