"""Bodies that set budgets."""

from threadhub.agents.budgets import MOST_TOKENS
from threadhub.api.rest.inputs.strict import Money, Strict, Whole


class LimitsInput(Strict):
    """What is left out, or null, is unlimited."""

    tokens = Whole(required=False, allow_null=True, min_value=0, max_value=MOST_TOKENS)
    cost = Money(required=False, allow_null=True)


class BudgetInput(Strict):
    """Replaces all of it: a period that is left out, or null, has no budget."""

    day = LimitsInput(required=False, allow_null=True)
    month = LimitsInput(required=False, allow_null=True)
