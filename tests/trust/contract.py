"""What schemathesis is told beyond the document: what a JSON Schema cannot say, each with its reason.

Everything else is checked with all of its checks as they come.
"""

from dataclasses import dataclass

from tests.trust.operations import Operation

ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "423", "429"]
REJECTED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "423", "428", "429"]

# A cursor is signed by the server, and is not given together with `skip`.
CURSOR = "cursor"
# Operations whose values have rules between them: valid one by one, they may be refused together.
BETWEEN_VALUES = {
    "agents_create": "tools must be there",
    "ai_agent_chat_stream": "messages are JSON inside of a query parameter",
    "agents_partial_update": "tools must be there; origins have a grammar",
    "agents_invoke_create": "input or prompt, external_ref or thread_id; files are data: URLs",
    "agents_usage_retrieve": "dates in their order",
    "agents_budget_update": "an amount of money wants prices",
    "budget_update": "an amount of money wants prices",
    "api_keys_create": "an expiry in the future; an agent that is there",
    "api_keys_partial_update": "an expiry in the future; at least one scope",
    "chat_sessions_claim_create": "a user that is there",
    "chat_sessions_create": "a server's form with a key, a page's form without",
    "chat_sessions_threads_invoke_create": "files are data: URLs",
    "agents_threads_invoke_create": "files are data: URLs",
    "threads_invoke_create": "files are data: URLs",
    "chat_sessions_threads_messages_edit_create": "files are data: URLs",
    "threads_messages_edit_create": "files are data: URLs",
    "holds_create": "a target of its scope",
    "retention_policies_create": "a target of its scope",
    "retention_policies_partial_update": "a target of its scope",
    "retention_settings_partial_update": "a time zone that there is",
    "threads_messages_create": "what a role may have",
    "tools_create": "what a kind must have",
    "tools_partial_update": "what a kind must have",
    "usage_retrieve": "dates in their order",
}
# 1 and 0 pass for true and false, in any letter case: Python's clients send `True`.
TRUTHS = {"active", "include_messages"}
# JSON strings that no text can be are refused, and a schema cannot say so; test_malformed.py sends them.
NO_TEXT = 'allow-x00 = false\ncodec = "utf-8"\n'
# The `ai` dialect takes for the default, or for nothing, what it does not understand; its bodies have rules between
# fields (a question in one of several places, names that are taken), which its clients' documents do not say.
FORGIVING = "/api/"


# Whoever may change an agent may leave it no tokens, or a service that is not there: then its answers fail, as 502 with
# their code, run and thread. Parts of such operations' names.
ANSWERED = (
    "invoke_create",
    "edit_create",
    "regenerate_create",
    "tool_outputs_create",
    "ai_agent_chat",
    "ai_chat_completion",
)
FAILED = "502"


@dataclass(frozen=True)
class Allowance:
    operation: str
    check: str
    statuses: list[str]


def allowances(operations: tuple[Operation, ...]) -> list[Allowance]:
    """For which operation a check expects more statuses than it would by itself."""
    found = []
    for operation in operations:
        answered = operation.method == "POST" and any(part in operation.name for part in ANSWERED)
        refused = operation.name in BETWEEN_VALUES or CURSOR in operation.query
        forgiving = operation.path.startswith(FORGIVING)
        if answered:
            found.append(Allowance(operation.name, "not_a_server_error", ["2xx", "3xx", "4xx", FAILED]))
        if answered or refused or (forgiving and operation.body is not None):
            more = [FAILED] * answered + ["400", "422"] * (refused or forgiving)
            found.append(Allowance(operation.name, "positive_data_acceptance", [*ACCEPTED, *more]))
        if forgiving or TRUTHS & set(operation.query):
            found.append(Allowance(operation.name, "negative_data_rejection", [*REJECTED, "2xx"]))
    return found


def toml(operations: tuple[Operation, ...]) -> str:
    """schemathesis.toml."""
    parts = [f'hooks = "tests.trust.schemathesis_hooks"\n[generation]\ndeterministic = true\n{NO_TEXT}']
    by_operation: dict[str, list[Allowance]] = {}
    for allowance in allowances(operations):
        by_operation.setdefault(allowance.operation, []).append(allowance)
    for name, each in by_operation.items():
        parts.append(f'[[operations]]\ninclude-operation-id = "{name}"')
        parts += [f"checks.{one.check}.expected-statuses = {one.statuses}" for one in each]
    return "\n".join(parts).replace("'", '"') + "\n"
