"""Verifies a webhook of Postern with standardwebhooks, as a Python backend does, and prints its payload as JSON.

Reads {"secret": …, "headers": {…}, "body": …} from the standard input. The part between the two comment lines is the snippet
of the documentation; tests/npm/webhooks_svix.test.mjs runs this file.
"""

import json
import sys

from standardwebhooks import Webhook

given = json.load(sys.stdin)
secret, headers, body = given["secret"], given["headers"], given["body"]

# --- snippet
payload = Webhook(secret).verify(body, headers)
# --- end of snippet

print(json.dumps(payload))
