"""Evaluations written for promptfoo, made duels of ours."""

from promptarena.evaluation.promptfoo.importing import Imported, import_promptfoo

__all__ = ["Imported", "import_promptfoo"]
