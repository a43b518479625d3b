"""Markdown: the same report, and names from the data stay text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from syrupy.assertion import SnapshotAssertion
from tests.reporting import duel_examples, examples

from promptarena.reporting.markdown import to_markdown
from promptarena.reporting.outlines import outline


class _Page(HTMLParser):
    """Tags, cells a row, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[int] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags |= {tag, *(f"{tag} {name}" for name, _ in attrs if name != "style")}
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> _Page:
    page = _Page()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    return page


def test_a_readout_as_markdown(snapshot: SnapshotAssertion) -> None:
    assert to_markdown(examples.rich()) == snapshot


def test_a_poor_readout_says_in_words_what_is_not_there(snapshot: SnapshotAssertion) -> None:
    assert to_markdown(examples.poor()) == snapshot


def test_a_duel_as_markdown(snapshot: SnapshotAssertion) -> None:
    assert to_markdown(duel_examples.gated()) == snapshot


def test_every_cell_of_every_table_is_in_the_rendered_page() -> None:
    page = rendered(to_markdown(examples.two_treatments()))
    for section in outline(examples.two_treatments()).sections:
        for row in section.table.rows if section.table else ():
            assert all(line in page.text for cell in row for line in cell)


def test_names_from_the_data_open_no_tag_and_break_no_table() -> None:
    plain, hostile = rendered(to_markdown(examples.rich())), rendered(to_markdown(examples.hostile()))
    assert hostile.tags == plain.tags
    assert hostile.rows == plain.rows
    assert examples.HOSTILE in hostile.text


@pytest.mark.parametrize(
    "name",
    ["a|b", "*x*", "_x_", "__x__", "`x`", "[a](javascript:b)", "~~x~~", "&lt;b&gt;", "<b>", "x\\|y", "# x"],
)
def test_a_name_is_shown_as_it_is_written(name: str) -> None:
    page = rendered(to_markdown(examples.renamed(name)))
    plain = rendered(to_markdown(examples.rich()))
    assert name in page.text
    assert page.tags == plain.tags
    assert page.rows == plain.rows
