"""The form of the console's sign-in."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from threadhub.limits import sign_ins
from threadhub.limits.rates import RateLimited


class SignInForm(AuthenticationForm):  # type: ignore[misc]
    """Django's, with the limit on wrong passwords that the API has."""

    def clean(self) -> Any:
        try:
            with sign_ins.tried(self.cleaned_data.get("username", "")):
                return super().clean()
        except RateLimited as error:
            raise ValidationError(error.message, code=error.code) from error
