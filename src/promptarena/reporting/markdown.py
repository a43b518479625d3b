"""A report as GitHub-flavoured Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re
from typing import Final

from promptarena.reporting.outline import Depth, Outline, Section, Table, Tone
from promptarena.reporting.outlines import Report, outline

__all__ = ["to_markdown"]

_SIGNS: Final = {Tone.GOOD: "✅", Tone.BAD: "⛔", Tone.WARNING: "⚠️", Tone.NEUTRAL: "⏳"}
_SPECIAL: Final = re.compile(r"([\\`*\[\]|~#])|(?<![^\W_])(_)|(_)(?![^\W_])")


def to_markdown(report: Report, *, head_only: bool = False) -> str:
    """A report as Markdown: the answer on top, details folded; or the answer alone.

    Names from the data are escaped: they can neither format, link nor open a tag.
    """
    content = outline(report)
    blocks = [
        _heading(content),
        f"**What it means.** {_escape(content.meaning)}",
        f"**What to do.** {_escape(content.action)}",
        *(f"> **Caution.** {_escape(caveat)}" for caveat in content.caveats),
        _facts(content.facts),
        *(_section(section) for section in (() if head_only else content.sections)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _heading(content: Outline) -> str:
    subject = f" {_escape(content.subject)}" if content.subject else ""
    title = f"## {_SIGNS[content.tone]} {content.status.upper()}{subject}: {_escape(content.title)}"
    return f"{title}\n\n**{_escape(content.headline)}**"


def _section(section: Section) -> str:
    body = [
        _escape(section.lead),
        _facts(section.facts),
        "\n".join(f"- {_escape(bullet)}" for bullet in section.bullets),
        _table(section.table) if section.table is not None else "",
        "\n".join(f"<sub>{_escape(note)}</sub>  " for note in section.notes).rstrip(),
    ]
    text = "\n\n".join(part for part in body if part)
    if section.depth is Depth.EVERYWHERE:
        return f"### {_escape(section.title)}\n\n{text}"
    return f"<details><summary>{_escape_html(section.title)}</summary>\n\n{text}\n\n</details>"


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"- **{_escape(label)}:** {_escape(text)}" for label, text in facts)


def _table(table: Table) -> str:
    head = " | ".join(_escape(column.title) for column in table.columns)
    rule = " | ".join("---:" if column.numeric else "---" for column in table.columns)
    rows = [" | ".join(_cell(cell) for cell in row) for row in table.rows]
    return "\n".join(f"| {line} |" for line in (head, rule, *rows))


def _cell(lines: tuple[str, ...]) -> str:
    return "<br>".join(_escape(line) for line in lines if line)


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], _escape_html(text))


def _escape_html(text: str) -> str:
    one_line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
