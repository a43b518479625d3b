"""A report as one self-contained HTML page: no network, readable on a phone and on paper.

Nothing from the data can run: templates escape by default, JSON in scripts has its angle brackets escaped,
and the page's own content security policy admits only the scripts whose hashes it names, and no connections.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptarena.definitions.case_story import CaseStories
from promptarena.reporting.case_views import case_views, filters_of
from promptarena.reporting.charts import Chart, missing_charts
from promptarena.reporting.files import write_whole
from promptarena.reporting.json import to_plain
from promptarena.reporting.outline import Depth, Section
from promptarena.reporting.outlines import Report, charts, outline

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["to_html", "write_html"]

_VEGA_LITE: Final = "6.4"
"""What the page draws with: of the major version that altair writes for."""


@dataclass(frozen=True, slots=True)
class _Part:
    section: Section
    chart: Chart | None
    spec: Any
    folded: bool


def write_html(report: Report, path: Path, stories: CaseStories | None = None) -> None:
    """Write the page of a report; a page that was there is replaced, whole or not at all.

    Args:
        report: what the page is about.
        path: where to.
        stories: of a duel, the cases to show one by one.

    Raises:
        MissingExtraError: the `charts` extra is not installed.
        UsageError: the folder is missing or cannot be written to.
    """
    write_whole(to_html(report, stories), path)


def to_html(report: Report, stories: CaseStories | None = None) -> str:
    """The page of a report; the same report always gives the same page.

    Args:
        report: what the page is about.
        stories: of a duel, the cases to show one by one.

    Raises:
        MissingExtraError: the `charts` extra is not installed.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    content, pictures = outline(report), charts(report)
    parts = [
        _Part(
            section, chart, Markup(_script_json(chart.spec)) if chart else None, section.depth is Depth.FOLDED
        )
        for section in content.sections
        for chart in [pictures.get(section.key)]
    ]
    bundle, script = _bundle(), _resource("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    cases, own = "", []
    if stories is not None and stories.cases:
        cases = _cases(environment, stories)
        own = [_resource("cases.js")]
    template = environment.from_string(_resource("report.html.j2"))
    return template.render(
        outline=content,
        parts=parts,
        policy=_policy(bundle, script, *own),
        cases=Markup(cases),
        cases_style=Markup(_resource("cases.css")),
        cases_script=Markup(own[0] if own else ""),
        style=Markup(_resource("report.css")),
        report=Markup(_script_json(to_plain(report))),
        bundle=Markup(bundle),
        script=Markup(script),
    )


def _cases(environment: Environment, stories: CaseStories) -> str:
    template = environment.from_string(_resource("cases.html.j2"))
    return template.render(stories=stories, views=case_views(stories), filters=filters_of(stories))


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment in it."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(*scripts: str) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    )


def _resource(name: str) -> str:
    return files("promptarena.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    try:
        import vl_convert
    except ImportError as error:
        raise missing_charts("vl-convert-python") from error
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", _VEGA_LITE)
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
