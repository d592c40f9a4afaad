"""For schemathesis, loaded by SCHEMATHESIS_HOOKS: what a fault of the server looks like over GraphQL.

Its own check, `not_a_server_error`, also takes for a fault what a resolver refuses, as that a thing is not there.
"""

import atexit

import schemathesis
from graphql import NameNode, ObjectFieldNode
from hypothesis import strategies
from schemathesis.graphql import nodes

SAFE = 2**53 - 1
schemathesis.graphql.scalar("SafeInt", strategies.integers(-SAFE, SAFE).map(nodes.Int))
JSON = strategies.text().map(nodes.String) | strategies.integers(-SAFE, SAFE).map(nodes.Int) | strategies.just(nodes.Null)
schemathesis.graphql.scalar("JSON", JSON)

TYPES = strategies.sampled_from(["User", "Team", "Project", ""])
IDS = strategies.uuids().map(str) | strategies.integers() | strategies.none() | strategies.just({})
ENTITIES = strategies.fixed_dictionaries({}, optional={"__typename": TYPES, "id": IDS}) | strategies.text()


def written(value):
    """A value as it stands in a document."""
    if isinstance(value, dict):
        return nodes.Object([
            ObjectFieldNode(name=NameNode(value=name), value=written(inner)) for name, inner in value.items()
        ])
    if isinstance(value, str):
        return nodes.String(value)
    return nodes.Null if value is None else nodes.Int(value)


schemathesis.graphql.scalar("_Any", ENTITIES.map(written))

with_data = 0


@schemathesis.check
def no_graphql_fault(ctx, response, case):
    global with_data
    assert response.status_code < 500, f"the status {response.status_code}"
    answer = response.json()
    errors = answer.get("errors", [])
    for error in errors:
        code = error.get("extensions", {}).get("code")
        assert code, f"an error without a code: {error}"
        assert code != "INTERNAL_SERVER_ERROR", f"a fault: {error}"
    assert errors or "data" in answer, f"neither data nor errors: {answer}"
    if any(value is not None for value in (answer.get("data") or {}).values()):
        with_data += 1


# Where everything is refused, nothing is tested.
atexit.register(lambda: print(f"answers with data: {with_data}"))
