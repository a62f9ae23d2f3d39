"""Fields of the console's forms."""

from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput

from threadhub.lib import json


class ObjectField(forms.JSONField):
    """A JSON object, read as strictly as a request's body: what PostgreSQL cannot keep is said here."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed."""
        return initial if self.disabled else InvalidJSONInput(data or "")

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def to_python(self, value: Any) -> Any:
        if self.disabled or not isinstance(value, str):
            return super().to_python(value)
        try:
            parsed = json.loads((value.strip() or "{}").encode(errors="surrogatepass"))
        except (json.MalformedJSON, json.RefusedJSON) as error:
            raise forms.ValidationError(str(error).replace("The body", "This")) from error
        if not isinstance(parsed, dict):
            raise forms.ValidationError('This must be a JSON object, such as {"key": "value"}.')
        return parsed
