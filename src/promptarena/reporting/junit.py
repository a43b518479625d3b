"""A duel as JUnit XML, for any continuous integration that shows tests: one test case a condition of the
gate.

A condition that is passed passes. One that fails, and one that the cases do not settle, is a failure: the
change may not go on. Where nothing may be concluded it is an error. What the cases could show stands in the
properties.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from promptarena.definitions.duel_readout import DuelReadout, Gate, GateCondition, GateStatus
from promptarena.reporting.duel_findings import in_unit
from promptarena.reporting.figures import percent

__all__ = ["to_junit"]

# What XML 1.0 cannot hold, not even as a reference.
_NOT_XML: Final = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(duel: DuelReadout) -> str:
    """The duel as a JUnit report; without a gate a suite with one skipped case that says so."""
    conditions = duel.gate.conditions if duel.gate is not None else ()
    bad = [each for each in conditions if each.status in (GateStatus.FAIL, GateStatus.INCONCLUSIVE)]
    broken = [each for each in conditions if each.status is GateStatus.INVALID]
    alone = duel.gate is None or not conditions
    invalid = duel.gate is not None and not conditions and duel.gate.status is GateStatus.INVALID
    suite = ElementTree.Element(
        "testsuite",
        name=_text(f"arena duel: {duel.duel}"),
        tests=str(len(conditions) or 1),
        failures=str(len(bad)),
        errors=str(len(broken) + invalid),
        skipped=str(int(alone and not invalid)),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(duel):
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    for condition in conditions:
        _case(suite, duel, condition)
    if alone:
        case = ElementTree.SubElement(suite, "testcase", classname=_text(duel.duel), name="gate")
        if invalid and duel.gate is not None:
            _note(case, "error", GateStatus.INVALID, " ".join(duel.gate.reasons))
        else:
            ElementTree.SubElement(case, "skipped", message="no gate was decided")
    said = ElementTree.SubElement(suite, "system-out")
    said.text = _text("\n".join(_told(duel.gate)) or "No gate was decided.")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, duel: DuelReadout, condition: GateCondition) -> None:
    name = f"{condition.variant}: {condition.name}"
    case = ElementTree.SubElement(suite, "testcase", classname=_text(duel.duel), name=_text(name))
    if condition.status is GateStatus.INVALID:
        _note(case, "error", condition.status, condition.text)
    elif condition.status is not GateStatus.PASS:
        _note(case, "failure", condition.status, condition.text)


def _note(case: ElementTree.Element, kind: str, status: GateStatus, text: str) -> None:
    note = ElementTree.SubElement(case, kind, type=str(status), message=_text(f"{status}: {text}"))
    note.text = _text(text)


def _properties(duel: DuelReadout) -> list[tuple[str, str]]:
    found = [
        ("cases", str(duel.cases)),
        ("gate", "none" if duel.gate is None else str(duel.gate.status)),
    ]
    if duel.gate is not None:
        found.append(("error", f"{duel.gate.alpha:.4g}"))
    if duel.holdout_openings is not None:
        found.append(("holdout openings", str(duel.holdout_openings)))
    for effect in duel.plan.effects if duel.plan is not None else ():
        shown = "nothing" if effect.detectable is None else in_unit(effect, effect.detectable)
        power = percent(duel.plan.power if duel.plan is not None else None, 0)
        found.append((f"passes with {power} from: {effect.name}", shown))
    return found


def _told(gate: Gate | None) -> tuple[str, ...]:
    return () if gate is None else (f"gate: {gate.status}", *gate.reasons)


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
