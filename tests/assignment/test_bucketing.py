from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assignment.experiments import numbers

from promptarena.assignment.bucketing import POINTS, bound, cut, digest, experiment_salt, layer_salt
from promptarena.definitions.names import Name

SHARES = st.floats(0, 1) | st.sampled_from([0.0, 5e-324, 1e-18, 0.1, 1 / 3, 0.5, 1 - 2**-53, 1.0])
POINT = st.integers(0, POINTS - 1)


@given(SHARES, st.text())
def test_a_digest_below_the_bound_is_a_number_below_the_share(share: float, unit: str) -> None:
    try:
        number, _ = numbers("exp/", unit)
    except UnicodeEncodeError:
        return
    assert (digest(b"exp/", unit) < bound(cut(share))) == (number < Fraction(share))


@given(SHARES, POINT)
def test_a_number_is_below_the_cut_exactly_where_it_is_below_the_share(share: float, number: int) -> None:
    assert (number < cut(share)) == (Fraction(number, POINTS) < Fraction(share))


@given(POINT, st.integers(0, POINTS), st.binary(min_size=24, max_size=24))
def test_bytes_sort_as_the_numbers_they_begin_with(number: int, limit: int, rest: bytes) -> None:
    spelled = number.to_bytes(8, "big")
    assert (spelled < bound(limit)) == (number < limit)
    assert (spelled + rest < bound(limit)) == (number < limit)


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1, 2**63, POINTS - 1])
def test_bounds_hold_at_their_very_edges(number: int) -> None:
    spelled = number.to_bytes(8, "big") + b"\xff" * 24
    assert spelled < bound(number + 1)
    assert not spelled < bound(number)


@pytest.mark.parametrize("share", [-0.1, 1.0000001, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        cut(share)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
)
def test_no_salt_begins_another(one: str, other: str) -> None:
    salts = [experiment_salt(one), layer_salt(one), experiment_salt(other), layer_salt(other)]
    for salt in salts:
        assert [s for s in salts if s.startswith(salt)] == [s for s in salts if s == salt]


def test_the_characters_that_salts_rely_on_are_in_no_name() -> None:
    from pydantic import TypeAdapter, ValidationError

    for written in ("a/b", "layer:a", "a\n"):
        with pytest.raises(ValidationError):
            TypeAdapter(Name).validate_python(written)


def test_published_digests_do_not_change() -> None:
    """A unit's variant hangs on these bytes: whoever changes them moves every unit of every experiment."""
    # Computed with coreutils: printf 'support-cites-policy/conversation-1' | sha256sum
    assert digest(experiment_salt("support-cites-policy"), "conversation-1").hex() == (
        "d6729761dad4ecc0ec69eef85f9134245fb59b53f0906c99c2a62c50a0a04d06"
    )
    assert digest(layer_salt("support-bot"), "Zoë☂").hex() == (
        "3bc7730df61fb73fced9a407fd8152bb65740e1db8c8cbf36d2fe2ff686f732a"
    )
