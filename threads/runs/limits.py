"""What one run may use: the agent's `max_run_tokens` and `max_run_cost`.

Before each asking, and while text comes, they are held against what the provider has reported and an estimate of what
it has not reported yet: the input under way and the text so far. A complete answer is never thrown away for its size.
What the provider never reports, since it was cut off or does not count, counts by the same estimate, marked as such.
"""

from decimal import Decimal

from django.conf import settings

from threadhub.agents import context
from threadhub.agents.events import ToolCall
from threadhub.agents.models import Agent
from threadhub.agents.prices import Price
from threadhub.agents.providers import ModelRequest
from threadhub.agents.usage import Amount, estimated
from threads.models import Run

TOKEN_LIMIT = ("token_limit", "The answer took more tokens than one run of the agent may.")
COST_LIMIT = ("cost_limit", "The answer cost more than one run of the agent may.")
COST_UNKNOWN = (
    "cost_limit",
    "The agent's runs have a limit of money, and its model has no price: nobody could hold it.",
)


class LimitReached(Exception):
    """The run has used what it may; `fault` is its code and sentence."""

    def __init__(self, fault: tuple[str, str]) -> None:
        super().__init__(fault[1])
        self.fault = fault


class Meter:
    """Of one run: told what is under way, it raises LimitReached."""

    def __init__(self, run: Run, spent: Amount) -> None:
        self._run = run
        self._agent: Agent = run.agent
        self._spent = spent
        self._price: Price | None = settings.PRICES.of(run.provider, run.model)
        self._input = 0
        self._characters = 0

    def asking(self, request: ModelRequest) -> None:
        """The model is about to be asked this. Raises LimitReached."""
        self._input = context.tokens_of(request)
        self._characters = 0
        if self._price is None and self._agent.max_run_cost is not None:
            raise LimitReached(COST_UNKNOWN)
        self._check()

    def heard(self, text: str) -> None:
        """The model said this. Raises LimitReached."""
        self._characters += len(text)
        self._check()

    def called(self, call: ToolCall) -> None:
        """The model asked for a tool: text that is complete, so no reason to stop."""
        self._characters += len(call.name) + len(str(call.arguments))

    def unreported(self) -> Amount:
        """What the asking under way has used, where its provider reports nothing."""
        run = self._run
        return estimated(input_tokens=self._input, characters=self._characters, provider=run.provider, model=run.model)

    def _check(self) -> None:
        output = self._characters // context.CHARACTERS_PER_TOKEN
        most_tokens, most_cost = self._agent.max_run_tokens, self._agent.max_run_cost
        if most_tokens is not None and self._spent.tokens + self._input + output > most_tokens:
            raise LimitReached(TOKEN_LIMIT)
        if most_cost is not None and self._price is not None:
            under_way = self._price.cost(input_tokens=self._input, cached_tokens=0, output_tokens=output)
            if (self._spent.cost or Decimal()) + under_way > most_cost:
                raise LimitReached(COST_LIMIT)
