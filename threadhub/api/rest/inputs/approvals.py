from threadhub.api.rest.inputs.strict import Strict, Text

REASON_CHARACTERS = 1_000


class Refusal(Strict):
    """`reason` is told to the model."""

    reason = Text(required=False, allow_null=True, allow_blank=True, max_length=REASON_CHARACTERS)
