from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.project import Redaction
from promptarena.storage.redaction import REDACTIONS, is_card_number, is_iban, redact_text, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # e-mail
        ("ann@example.org", "[email]"),
        ("Ann <ann.lee+tag@mail.example.co.uk>, bob", "Ann <[email]>, bob"),
        ("mailto:o'neil@exämple.de.", "mailto:[email]."),
        ("a@b and @handle and x@localhost", "a@b and @handle and x@localhost"),
        # cards: the networks' published test numbers
        ("4111111111111111", "[card]"),
        ("visa 4111 1111 1111 1111, exp 12/27", "visa [card], exp 12/27"),
        ("amex 3782-822463-10005.", "amex [card]."),
        ("mastercard 5555.5555.5555.4444", "mastercard [card]"),
        ("6304000000000000 13 digits 4222222222222", "[card] 13 digits [card]"),
        ("12/27 123 4111 1111 1111 1111 456 5555 5555 5555 4444", "12/27 123 [card] 456 [card]"),
        ("order 4111111111111112 is none", "order 4111111111111112 is none"),
        ("0000000000000000", "0000000000000000"),
        ("id-4111111111111111-x", "id-4111111111111111-x"),
        # phones
        ("+44 20 7946 0958", "[phone]"),
        ("call +1 (212) 555-0147 now", "call [phone] now"),
        ("(212) 555-0147 or 212-555-0147 or 212.555.0147", "[phone] or [phone] or [phone]"),
        ("0049 30 901820 and +4930901820", "[phone] and [phone]"),
        ("030 901820", "[phone]"),
        ("it took 1234567 ms in 2026-03-01 12:00:00", "it took 1234567 ms in 2026-03-01 12:00:00"),
        ("version 1.22.333.4444 costs 1,234,567.89", "version 1.22.333.4444 costs 1,234,567.89"),
        ("order 123456789012 was 3.14159265358979", "order 123456789012 was 3.14159265358979"),
        # accounts: the standard's own examples
        ("GB82 WEST 1234 5698 7654 32", "[iban]"),
        ("to DE89370400440532013000.", "to [iban]."),
        ("GB82 WEST 1234 5698 7654 33", "GB82 WEST 1234 5698 7654 33"),
        # addresses of machines
        ("from 192.0.2.17:8080 and 2001:db8::ff00:42:8329", "from [ip]:8080 and [ip]"),
        ("999.1.1.1 at 12:34:56", "999.1.1.1 at 12:34:56"),
    ],
)
def test_personal_data_is_taken_out_and_what_looks_like_it_is_not(text: str, expected: str) -> None:
    assert redact_text(text, REDACTIONS) == expected


@pytest.mark.parametrize("sort", REDACTIONS)
def test_only_what_was_asked_for_is_taken_out(sort: str) -> None:
    samples = {
        "email": "ann@example.org",
        "card": "4111 1111 1111 1111",
        "phone": "+44 20 7946 0958",
        "iban": "DE89370400440532013000",
        "ip": "192.0.2.17",
    }
    text = " | ".join(samples.values())
    expected = " | ".join(f"[{name}]" if name == sort else value for name, value in samples.items())
    assert redact_text(text, [sort]) == expected
    assert redact_text(text, []) == text


def test_everything_that_a_project_may_ask_for_can_be_taken_out() -> None:
    assert {one.value for one in Redaction} == set(REDACTIONS)
    assert redact_text("ann@example.org", {Redaction.EMAIL}) == "[email]"


def _luhn_by_hand(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


@given(st.text(alphabet=string.digits, min_size=13, max_size=19).filter(lambda text: set(text) != {"0"}))
def test_luhns_check_is_the_published_one(digits: str) -> None:
    assert is_card_number(digits) == _luhn_by_hand(digits)


@given(st.text(alphabet=string.digits, min_size=12, max_size=18), st.integers(0, 17))
def test_exactly_one_check_digit_makes_a_number_a_card_and_any_single_mistake_unmakes_it(
    payload: str, place: int
) -> None:
    if set(payload) == {"0"}:
        return
    cards = [payload + digit for digit in string.digits if is_card_number(payload + digit)]
    assert len(cards) == 1
    place %= len(payload)
    wrong = str((int(cards[0][place]) + 1) % 10)
    assert not is_card_number(cards[0][:place] + wrong + cards[0][place + 1 :])
    assert redact_text(f"pay {cards[0]} now", ["card"]) == "pay [card] now"


@given(st.text(alphabet=string.digits, min_size=14, max_size=18))
def test_exactly_one_pair_of_check_digits_makes_an_account(account: str) -> None:
    right = [check for check in range(2, 99) if is_iban(f"DE{check:02}{account}")]
    assert len(right) == 1


def test_all_of_a_json_value_is_looked_at() -> None:
    value = {
        "ann@example.org": [1, None, True, 4111111111111111, 2.5],
        "arguments": '{"to": "ann@example.org", "card": "4111111111111111"}',
        "deep": {"er": ("+44 20 7946 0958",)},
    }
    assert redacted(value, REDACTIONS) == {
        "[email]": [1, None, True, "[card]", 2.5],
        "arguments": '{"to": "[email]", "card": "[card]"}',
        "deep": {"er": ["[phone]"]},
    }


@pytest.mark.parametrize(
    "hard", ["a@" * 20_000, "1 " * 50_000, "+" * 50_000, "a." * 50_000, ":" * 50_000, "A" * 99_999]
)
def test_no_text_takes_long(hard: str) -> None:
    """A pattern that backtracks takes minutes for these."""
    start = time.process_time()
    redact_text(hard, REDACTIONS)
    assert time.process_time() - start < 3


@given(st.text(max_size=200))
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact_text(text, REDACTIONS)
    assert redact_text(once, REDACTIONS) == once
