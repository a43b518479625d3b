"""Judges: models that compare and score answers, and how far what they say can be trusted.

Everything here is pure. A runner asks a `PreparedJudge` which calls a case needs, makes them, and gives each
completion back to be read.
"""

from promptarena.evaluation.judges.judgment import (
    PREFERENCE,
    Axis,
    JudgeCall,
    JudgedAnswer,
    JudgedCase,
    Judgment,
    Subject,
    Task,
)
from promptarena.evaluation.judges.prepared import PreparedJudge
from promptarena.evaluation.judges.tally import JudgeTally

__all__ = [
    "PREFERENCE",
    "Axis",
    "JudgeCall",
    "JudgeTally",
    "JudgedAnswer",
    "JudgedCase",
    "Judgment",
    "PreparedJudge",
    "Subject",
    "Task",
]
