"""What models cost: THREADHUB_PRICES, a table of prices per million tokens.

    {"currency": "USD", "prices": {
        "openai/gpt-4o-mini*": {"input": "0.15", "cached_input": "0.075", "output": "0.60"},
        "local/*": {"input": 0, "output": 0}
    }}

A name is `provider/model`, with `*` and `?` in it; the first that fits decides. Amounts are decimals of the currency's
main unit with six decimals at most, so that every cost is exact with twelve. Without `cached_input`, input that came
from a service's cache costs what other input does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

PRICE_DECIMALS = 6
COST_DECIMALS = 12  # of what some tokens cost, at a price per million of them
HIGHEST_PRICE = 10**9
NAME = "THREADHUB_PRICES"
PARTS = {"input", "cached_input", "output"}


@dataclass(frozen=True, slots=True)
class Price:
    """Of one model, per million tokens."""

    input: Decimal
    cached_input: Decimal
    output: Decimal

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """Exact; `cached_tokens` are a part of the input."""
        fresh = input_tokens - cached_tokens
        per_million = self.input * fresh + self.cached_input * cached_tokens + self.output * output_tokens
        return per_million.scaleb(-6)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by `provider/model` in the order of the table; empty where none are set."""

    currency: str | None = None
    prices: tuple[tuple[str, Price], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PriceTable:
        """Read the setting: JSON, or the path of a file with it. Raises ImproperlyConfigured, naming the fault."""
        text = text.strip()
        if not text:
            return cls()
        if not text.startswith("{"):
            text = _file(text)
        try:
            table = json.loads(text, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
        except ValueError as error:
            raise ImproperlyConfigured(f"{NAME} is no JSON object: {error}") from error
        if set(table) != {"currency", "prices"} or not isinstance(table["prices"], dict):
            raise ImproperlyConfigured(f'{NAME} must have exactly "currency" and "prices", an object.')
        currency = table["currency"]
        if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isupper()):
            raise ImproperlyConfigured(f"{NAME}: the currency must be a code of three letters such as USD.")
        return cls(currency, tuple((_name(name), _price(name, row)) for name, row in table["prices"].items()))

    def of(self, provider: str, model: str) -> Price | None:
        """The price of a model; None where nobody has said it."""
        name = f"{provider}/{model}"
        return next((price for pattern, price in self.prices if fnmatchcase(name, pattern)), None)


def _file(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{NAME} is neither JSON nor a file that can be read: {path!r}.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no amount")


def _name(name: str) -> str:
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise ImproperlyConfigured(f"{NAME}: {name!r} must be written as provider/model, such as openai/gpt-4o*.")
    return name


def _price(name: str, row: Any) -> Price:
    if not isinstance(row, Mapping) or not {"input", "output"} <= set(row) <= PARTS:
        raise ImproperlyConfigured(f'{NAME}: {name!r} needs "input" and "output", and may have "cached_input".')
    amounts = {part: _amount(name, part, row[part]) for part in row}
    return Price(amounts["input"], amounts.get("cached_input", amounts["input"]), amounts["output"])


def _amount(name: str, part: str, value: Any) -> Decimal:
    fault = ImproperlyConfigured(
        f"{NAME}: {part} of {name!r} must be an amount per million tokens from 0 to {HIGHEST_PRICE}"
        f" with {PRICE_DECIMALS} decimals at most, not {value!r}."
    )
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise fault
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise fault from error
    if not amount.is_finite() or not 0 <= amount <= HIGHEST_PRICE or amount != round(amount, PRICE_DECIMALS):
        raise fault
    return amount
