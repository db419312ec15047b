"""Verifying how a request is signed: SigV4, OCI's signatures, tokens and keys."""
