"""Prompt Arena decides whether a change to an LLM feature should receive traffic.

Importing the package is cheap on purpose: engines and numerical libraries are imported where they are used.
"""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
