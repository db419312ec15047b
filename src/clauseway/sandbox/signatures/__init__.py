"""How a request's authentication is verified: signatures, tokens and keys.

sigv4          AWS Signature Version 4, recomputed with botocore
oci_signature  Oracle's request signature
tokens         JSON Web Tokens, as Entra, Google and Oracle use them
rsa            RSA signatures, verified and made by whole-number arithmetic
credentials    the fixed credentials that the fake clouds take
"""
