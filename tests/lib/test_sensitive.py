"""What looks like personal data in a reference, and what must never."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadhub.lib import ids, sensitive


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("alice@example.org", "email"),
        ("user:Alice.O'Neil+chat@mail.example.co.uk", "email"),
        ("alice%40example.org", "email"),
        ("+49 170 1234567", "phone"),
        ("+1 (415) 555-2671", "phone"),
        ("tel:+442079460958", "phone"),
        ("0049 170 1234567", "phone"),
        ("4111111111111111", "card"),
        ("4111 1111 1111 1111", "card"),
        ("card_5500-0055-5555-5559", "card"),
        ("3782 822463 10005", "card"),
        ("2223003122003222", "card"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("GB29NWBK60161331926819", "iban"),
    ],
)
def test_it_sees_personal_data(text: str, kind: str) -> None:
    assert sensitive.kind_of(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ticket_12345",
        "order_98765",
        "session_user_67890",
        "user_67890",
        "12345678901234567890",
        "1234567890123",
        "9007199254740993",
        "20250131123000",
        "1735689600000",
        "1735689600123456",
        "0000000000000000",
        "4444444444444444",
        "2024-01-31T10:30:00Z",
        "2024-01-31 10:30:00+01:00",
        "alice",
        "alice@",
        "@alice",
        "npm:@scope/package",
        "git@host:repo",
        "v1.2.3+build.5",
        "10.0.0.1",
        "A1B2C3D4E5F6A7B8",
        "d41d8cd98f00b204e9800998ecf8427e",
        "01a21406-6607-742d-8b91-82eeb90d6eaa",
        "4111111111111112",
        "order-4111111111111111-eu",
        "DE00370400440532013000",
        "0170 1234567",
    ],
)
def test_it_lets_ids_pass(text: str) -> None:
    assert sensitive.kind_of(text) is None


@given(st.uuids())
def test_no_uuid_and_no_id_of_ours_is_personal_data(value: uuid.UUID) -> None:
    for text in (str(value), value.hex, str(value).upper(), ids.encode("thread", value), f"visitor:{value}"):
        assert sensitive.kind_of(text) is None


@given(st.integers(0, 10**12 - 1), st.sampled_from(["", "ticket_", "order-", "user:", "#"]))
def test_no_number_of_up_to_twelve_digits_is_personal_data(number: int, prefix: str) -> None:
    assert sensitive.kind_of(f"{prefix}{number}") is None


@given(st.text(max_size=600))
def test_any_text_gets_an_answer(text: str) -> None:
    assert sensitive.kind_of(text) in (None, "email", "phone", "card", "iban")


@given(st.integers(4 * 10**14, 5 * 10**14 - 1))
def test_exactly_one_check_digit_makes_a_card(number: int) -> None:
    found = [digit for digit in range(10) if sensitive.kind_of(f"{number}{digit}") == "card"]
    assert len(found) <= 1
    assert found or len(set(str(number))) == 1
