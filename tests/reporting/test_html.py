"""The page: one file, no network, nothing from the data runs, a table under every chart."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.reporting import adaptive_examples, duel_examples, examples

from promptarena.errors import MissingExtraError
from promptarena.reporting.html import to_html, write_html
from promptarena.reporting.json import to_plain
from promptarena.reporting.outlines import Report, charts, outline

REPORTS: dict[str, Report] = {
    "rich": examples.rich(),
    "poor": examples.poor(),
    "two treatments": examples.two_treatments(),
    "adapting": examples.adapting(),
    "interleaved": adaptive_examples.interleaved(),
    "another policy": adaptive_examples.exploded(),
    "hostile": examples.hostile(),
    "gated duel": duel_examples.gated(),
    "ranked duel": duel_examples.ranked(),
    "scored duel": duel_examples.scored(),
}


class _Page(HTMLParser):
    """The page as a browser reads it: tags in order, attributes, scripts, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._in: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._in = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._in = None if tag == self._in else self._in

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self._in != "style":
            self.text += data

    def json(self, identifier: str | None = None) -> list[object]:
        return [
            json.loads(text)
            for attributes, text in self.scripts
            if attributes.get("type") == "application/json"
            and (identifier is None or attributes.get("id") == identifier)
        ]

    def policy(self) -> str:
        return next(
            v or "" for _, name, v in self.attributes if name == "content" and "default-src" in (v or "")
        )


@pytest.fixture(scope="module", params=REPORTS)
def report(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]


@pytest.fixture(scope="module")
def page(report: Report) -> _Page:
    return _Page(to_html(report))


def test_the_page_asks_nothing_of_the_network(page: _Page) -> None:
    loading = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "formaction"}
    assert not [(tag, name, value) for tag, name, value in page.attributes if name in loading]
    assert page.policy().startswith("default-src 'none';")
    assert not {"http:", "https:", "connect-src", "*", "'unsafe-eval'"} & set(
        re.split(r"[\s;]+", page.policy())
    )
    assert "url(" not in to_html(examples.poor()).split("<style>")[1].split("</style>")[0]


def test_only_our_two_scripts_may_run(page: _Page) -> None:
    running = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 2
    for script in running:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy()
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_the_whole_report_is_in_the_page_at_full_precision(report: Report, page: _Page) -> None:
    assert page.json("report") == [json.loads(json.dumps(to_plain(report)))]


def test_every_chart_has_a_title_a_sentence_and_a_table(report: Report, page: _Page) -> None:
    pictures = charts(report)
    sections = {section.key: section for section in outline(report).sections}
    assert set(pictures) <= set(sections)
    for key, chart in pictures.items():
        assert chart.title in page.text
        assert chart.reading in page.text
        assert sections[key].table is not None
    assert page.tags.count("figure") == len(pictures)
    assert len(page.json()) == len(pictures) + 1


def test_everything_that_the_outline_says_is_on_the_page(report: Report, page: _Page) -> None:
    content = outline(report)
    said = [content.headline, content.meaning, content.action, *content.caveats]
    for section in content.sections:
        said += [section.title, section.lead, *section.bullets, *section.notes]
        said += [text for fact in section.facts for text in fact]
        said += [
            line for row in (section.table.rows if section.table else ()) for cell in row for line in cell
        ]
    for text in said:
        assert text in page.text


def test_the_same_report_gives_the_same_bytes(report: Report) -> None:
    assert to_html(report) == to_html(report)


def test_hostile_names_change_no_tag_and_no_attribute() -> None:
    plain, hostile = _Page(to_html(examples.rich())), _Page(to_html(examples.hostile()))
    # The hostile one says two reasons instead of three, and is else the same page.
    fewer = list(plain.tags)
    fewer.remove("li")
    assert sorted(hostile.tags) == sorted(fewer)
    assert "img" not in hostile.tags
    assert [name for _, name, _ in hostile.attributes] == [name for _, name, _ in plain.attributes]
    raw = to_html(examples.hostile())
    assert examples.HOSTILE not in raw
    assert "<!-- &" not in raw


def test_hostile_names_arrive_whole_in_the_embedded_json() -> None:
    (embedded,) = _Page(to_html(examples.hostile())).json("report")
    assert isinstance(embedded, dict)
    assert embedded["primary"] == examples.HOSTILE


def test_what_is_not_there_is_said_in_words() -> None:
    text = _Page(to_html(examples.poor())).text
    assert "The data has no time column, so the daily effect is not shown." in text
    assert "No sequence of looks was planned" in text
    assert "No segments were declared" in text
    assert "unknown: no weights were given" in text


def test_light_dark_phone_and_paper_are_provided_for() -> None:
    style = to_html(examples.poor()).split("<style>")[1].split("</style>")[0]
    for query in ("prefers-color-scheme: dark", "max-width: 36rem", "@media print"):
        assert query in style


def test_every_colour_that_a_chart_names_is_defined_for_light_dark_and_paper() -> None:
    style = to_html(examples.poor()).split("<style>")[1].split("</style>")[0]
    named = set(
        re.findall(r"var\((--[\w-]+)\)", json.dumps([c.spec for c in charts(examples.rich()).values()]))
    )
    assert named >= {"--good", "--bad", "--unclear", "--text"}
    for variable in named:
        assert style.count(f"{variable}: ") == 3, variable


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_a_missing_charts_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptarena.reporting import html

    html._bundle.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'promptarena\[charts\]'"):
        to_html(examples.rich())


def test_the_written_page_is_the_rendered_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("an older page")
    write_html(examples.poor(), path)
    assert path.read_bytes() == to_html(examples.poor()).encode()
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
