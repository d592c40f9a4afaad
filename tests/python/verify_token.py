"""Verifies an access token of Postern with PyJWT, as a Python backend does, and prints its claims as JSON.

Usage: verify_token.py BASE_URL PROJECT_ID TOKEN

The part between the two comment lines is the snippet of the documentation; tests/npm/tokens.test.mjs runs this file.
"""

import json
import sys

import jwt

base_url, project_id, token = sys.argv[1:]

# --- snippet
jwks = jwt.PyJWKClient(f"{base_url}/api/v1/projects/{project_id}/.well-known/jwks.json")
claims = jwt.decode(
    token,
    jwks.get_signing_key_from_jwt(token).key,
    algorithms=["ES256"],
    audience=project_id,
    issuer=f"{base_url}/api/v1/projects/{project_id}",
)
# --- end of snippet

print(json.dumps(claims))
