"""What models cost, by the price table."""

from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from threadhub.agents.prices import COST_DECIMALS, PRICE_DECIMALS, Price, PriceTable
from threadhub.agents.usage import MOST_TOKENS, written

TABLE = """{"currency": "USD", "prices": {
    "openai/gpt-4o-mini*": {"input": "0.15", "cached_input": 0.075, "output": "0.60"},
    "openai/gpt-4o*": {"input": 2.5, "output": 10},
    "local/*": {"input": 0, "output": 0}
}}"""
prices = st.decimals(min_value=0, max_value=10**9, places=PRICE_DECIMALS)
tokens = st.integers(min_value=0, max_value=MOST_TOKENS)


def test_the_first_name_that_fits_decides() -> None:
    table = PriceTable.parse(TABLE)
    mini, large = table.of("openai", "gpt-4o-mini-2024"), table.of("openai", "gpt-4o")
    assert mini == Price(Decimal("0.15"), Decimal("0.075"), Decimal("0.60"))
    assert large == Price(Decimal("2.5"), Decimal("2.5"), Decimal(10))
    assert table.of("local", "") == Price(Decimal(0), Decimal(0), Decimal(0))
    assert table.currency == "USD"


@pytest.mark.parametrize(("provider", "model"), [("openai", "o3"), ("anthropic", "gpt-4o"), ("echo", "")])
def test_a_model_that_nobody_priced_has_no_price(provider: str, model: str) -> None:
    assert PriceTable.parse(TABLE).of(provider, model) is None
    assert PriceTable.parse("").of(provider, model) is None


def test_it_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(TABLE)
    assert PriceTable.parse(str(file)) == PriceTable.parse(TABLE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/no/such/file.json", "neither JSON nor a file"),
        ("[1]", "neither JSON nor a file"),
        ("{", "no JSON object"),
        ('{"currency": "USD"}', '"prices"'),
        ('{"currency": "USD", "prices": {}, "tax": 1}', "exactly"),
        ('{"currency": "dollars", "prices": {}}', "three letters"),
        ('{"currency": "usd", "prices": {}}', "three letters"),
        ('{"currency": "USD", "prices": {"gpt-4o": {"input": 1, "output": 1}}}', "provider/model"),
        ('{"currency": "USD", "prices": {"a/b": {"input": 1}}}', '"output"'),
        ('{"currency": "USD", "prices": {"a/b": {"input": 1, "output": 1, "cached": 1}}}', "cached_input"),
        ('{"currency": "USD", "prices": {"a/b": {"input": -1, "output": 1}}}', "from 0"),
        ('{"currency": "USD", "prices": {"a/b": {"input": "one", "output": 1}}}', "amount"),
        ('{"currency": "USD", "prices": {"a/b": {"input": true, "output": 1}}}', "amount"),
        ('{"currency": "USD", "prices": {"a/b": {"input": "NaN", "output": 1}}}', "amount"),
        ('{"currency": "USD", "prices": {"a/b": {"input": NaN, "output": 1}}}', "NaN"),
        ('{"currency": "USD", "prices": {"a/b": {"input": 0.0000001, "output": 1}}}', "6 decimals"),
        ('{"currency": "USD", "prices": {"a/b": {"input": 1e99, "output": 1}}}', "from 0"),
        (
            '{"currency": "USD", "prices": {"a/b": {"input": 1, "output": 1}, "a/b": {"input": 2, "output": 1}}}',
            "twice",
        ),
    ],
)
def test_nonsense_is_told_by_name(text: str, told: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="THREADHUB_PRICES") as error:
        PriceTable.parse(text)
    assert told in str(error.value)


@given(prices, prices, prices, tokens, tokens, tokens)
def test_a_cost_is_exact(
    dear: Decimal, cached: Decimal, out: Decimal, fresh: int, from_cache: int, output_tokens: int
) -> None:
    cost = Price(dear, cached, out).cost(
        input_tokens=fresh + from_cache, cached_tokens=from_cache, output_tokens=output_tokens
    )
    exact = Fraction(dear) * fresh + Fraction(cached) * from_cache + Fraction(out) * output_tokens
    assert Fraction(cost) == exact / 10**6
    assert cost == round(cost, COST_DECIMALS)


@given(st.lists(st.decimals(min_value=0, max_value=10**6, places=COST_DECIMALS), max_size=50))
def test_money_as_text_is_the_same_money(costs: list[Decimal]) -> None:
    with localcontext(prec=50):
        total = sum(costs, Decimal())
        text = written(total)
        assert text is not None
        assert Decimal(text) == total
        assert "e" not in text.lower()
        assert text == "0" or not ("." in text and text.endswith("0"))
