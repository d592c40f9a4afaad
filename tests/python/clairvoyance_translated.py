"""clairvoyance with its arguments, made to understand our server.

It reads the wording of graphql-js, and would find nothing here whatever our errors gave away. So it is handed what
async-graphql says as graphql-js would have said it.
"""

import re

from clairvoyance import cli
from clairvoyance.client import Client

NAME = r'"([^"]+)"'
TRANSLATIONS = [
    (re.compile(rf"Unknown field {NAME} on type {NAME}\."), r'Cannot query field "\1" on type "\2".'),
    (
        re.compile(rf"Field {NAME} of type {NAME} must have a selection of subfields"),
        r'Field "\1" of type "\2" must have a selection of subfields. Did you mean "\1 { ... }"?',
    ),
    (
        re.compile(rf"Field {NAME} must not have a selection since type {NAME} has no subfields"),
        r'Field "\1" must not have a selection since type "\2" has no subfields.',
    ),
    (
        re.compile(rf"Field {NAME} argument {NAME} of type {NAME} is required but not provided"),
        r'Field "\1" argument "\2" of type "\3" is required, but it was not provided.',
    ),
    (re.compile(rf"Invalid value for argument {NAME}, expected type {NAME}"), r"Expected type \2, found 42."),
]

post = Client.post


async def translated(self, document, retries=0):
    answer = await post(self, document, retries)
    for error in answer.get("errors", []):
        for ours, theirs in TRANSLATIONS:
            # Only the beginning: names that are suggested stand behind it, in the same words.
            error["message"] = ours.sub(theirs, error["message"], count=1)
    return answer


Client.post = translated
cli()
