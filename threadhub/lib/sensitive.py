"""Whether a text looks like personal data: an e-mail address, a phone number, a card or an account number.

For references that clients choose (seed 003: no sensitive information in an `externalRef`). Wrong alarms are worse than
misses here, since ids of all kinds must pass: UUIDs, hashes, `ticket_12345`, long numbers. So a number counts only with
what ids do not have: a card's check digit and its issuer's first digits, an IBAN's check digits, a phone's `+`.
"""

import re
from typing import Literal

Kind = Literal["email", "phone", "card", "iban"]

MAX_CHARACTERS = 512  # what is longer is looked at up to here
EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}(?:@|%40)(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}", re.ASCII)
# The whole text, but for a word before it (`tel:+49…`, `user_+49…`): digits inside of an id are no phone number.
PHONE = re.compile(r"(?:[A-Za-z]{1,16}[:_= -])?(?:\+|00)[1-9](?:[ ./()-]{0,2}\d){6,13}", re.ASCII)
# Digits in one piece, or in groups of four as on the card (American Express: 4-6-5), not within a longer word.
CARD = re.compile(
    r"(?<![A-Za-z0-9-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{5})(?![A-Za-z0-9-])", re.ASCII
)
ISSUERS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|6(?:011|5|4[4-9])|35(?:2[89]|[3-8])", re.ASCII
)
LENGTHS = {"3": (15, 16)}  # of the others 16; rare lengths would be ids more often than cards
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", re.ASCII)


def kind_of(text: str) -> Kind | None:
    """What the text looks like, or None."""
    text = text[:MAX_CHARACTERS]
    if EMAIL.search(text):
        return "email"
    if any(_is_iban(match.group()) for match in IBAN.finditer(text)):
        return "iban"
    if PHONE.fullmatch(text.strip()):
        return "phone"
    if any(_is_card(match.group()) for match in CARD.finditer(text)):
        return "card"
    return None


def _is_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if not ISSUERS.match(digits) or len(digits) not in LENGTHS.get(digits[0], (16,)) or len(set(digits)) < 2:
        return False
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    letters = text.replace(" ", "")
    if not 15 <= len(letters) <= 34:
        return False
    moved = letters[4:] + letters[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
