"""Simulated customers: the same seed is the same people, and they behave as the story says they do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from promptarena.demo.customers import Conversation, Customer, customers
from promptarena.demo.shop import is_right, policies

_MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def _talk(customer: Customer, answers: str | None) -> Conversation:
    conversation = Conversation(customer)
    while conversation.hears(answers) is not None:
        pass
    return conversation


def test_the_same_seed_is_the_same_people_and_another_one_is_not() -> None:
    assert customers(50, _MONDAY, 7, seed=1) == customers(50, _MONDAY, 7, seed=1)
    assert customers(50, _MONDAY, 7, seed=1) != customers(50, _MONDAY, 7, seed=2)


def test_they_come_in_order_within_their_days_most_on_mondays_and_by_day() -> None:
    who = customers(7000, _MONDAY, 28, seed=1)
    arrivals = [customer.arrives for customer in who]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= _MONDAY
    assert arrivals[-1] < _MONDAY + timedelta(days=28)
    days = Counter(moment.weekday() for moment in arrivals)
    assert max(days, key=lambda day: days[day]) == 0
    assert min(days, key=lambda day: days[day]) in (5, 6)
    # 1.25 against .75 of 1,000 a day; four standard errors of each count are about 125.
    assert days[0] == pytest.approx(1250, abs=125)
    assert days[5] == pytest.approx(750, abs=125)
    assert sum(9 <= moment.hour < 21 for moment in arrivals) > 0.7 * len(arrivals)
    assert Counter(customer.device for customer in who)["phone"] == pytest.approx(4200, abs=170)
    assert Counter(customer.tier for customer in who)["paying"] == pytest.approx(2100, abs=160)
    assert {customer.concern for customer in who} == set(policies())
    assert len({customer.conversation_id for customer in who}) == len(who)


def test_right_answers_content_more_people_sooner_and_ratings_follow() -> None:
    who = customers(3000, _MONDAY, 7, seed=3)
    right = [_talk(customer, customer.concern.rule) for customer in who]
    wrong = [_talk(customer, "It will be fine.") for customer in who]
    assert all(is_right(customer.concern.rule, customer.concern) for customer in who)
    assert mean(talk.resolved for talk in right) > 0.8
    assert mean(talk.resolved for talk in wrong) < 0.25
    assert mean(talk.turn for talk in right) < mean(talk.turn for talk in wrong)
    assert max(talk.turn for talk in wrong) == 3
    ratings = {
        resolved: [talk.rating for talk in (*right, *wrong) if talk.resolved is resolved and talk.rating]
        for resolved in (True, False)
    }
    assert mean(ratings[True]) > mean(ratings[False]) + 1
    assert mean(talk.rating is not None for talk in right) == pytest.approx(1 / 3, abs=0.04)
    assert {talk.rating for talk in (*right, *wrong)} == {None, 1, 2, 3, 4, 5}


def test_who_rates_does_not_depend_on_what_was_answered() -> None:
    who = customers(200, _MONDAY, 7, seed=3)
    raters = [
        {
            customer.number
            for customer in who
            if _talk(customer, answer or customer.concern.rule).rating is not None
        }
        for answer in (None, "It will be fine.")
    ]
    assert raters[0] == raters[1]


def test_segments_and_days_move_the_chance() -> None:
    who = customers(12_000, _MONDAY, 28, seed=4)
    talks = [(customer, _talk(customer, customer.concern.rule).resolved) for customer in who]

    def share(wanted: object) -> float:
        assert callable(wanted)
        return mean(resolved for customer, resolved in talks if wanted(customer))

    assert share(lambda customer: customer.device == "desktop") > share(
        lambda customer: customer.device == "phone"
    )
    assert share(lambda customer: customer.tier == "paying") > share(lambda customer: customer.tier == "free")
    assert share(lambda customer: customer.arrives.weekday() in (1, 2)) > share(
        lambda customer: customer.arrives.weekday() in (5, 6)
    )


def test_a_customer_whom_nobody_answers_asks_again_or_leaves_unhelped() -> None:
    talks = [_talk(customer, None) for customer in customers(300, _MONDAY, 7, seed=5)]
    assert not any(talk.resolved for talk in talks)
    assert {talk.turn for talk in talks} == {0, 1, 2, 3}
    assert all(message["role"] == "user" for talk in talks for message in talk.messages)


def test_the_conversation_is_what_a_chat_completion_takes() -> None:
    [customer] = customers(1, _MONDAY, 1, seed=6)
    conversation = Conversation(customer)
    assert conversation.messages == [{"role": "user", "content": customer.question}]
    assert customer.question in customer.concern.asked
    while conversation.hears("It will be fine.") is not None:
        roles = [message["role"] for message in conversation.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
