"""Texts that are judged, shown to a judge so that they can neither end their block nor hide anything.

Three things are true of every block, whatever its text is, and tests prove them:

- its seal occurs nowhere in any text of the call, so nothing inside can close it or open another;
- each of its lines begins with a bar and a blank, and no character of the text can begin a line without them
  (a form of data marking: Hines et al. 2024, "Defending Against Indirect Prompt Injection Attacks With
  Spotlighting", section 4.2);
- no character in it is invisible or turns the direction of others: those are shown by their number.

What no code can prove is that a model then pays no heed to what the text says.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Final

from promptarena.definitions.content_hash import canonical_json

__all__ = ["block", "hidden_characters", "seal_of", "shown_openly"]

_SEAL_DIGITS: Final = 12
"""Hexadecimal; nobody guesses one of 2^46."""
_BAR: Final = "| "
_JOINERS: Final = "\u200c\u200d\ufe0e\ufe0f"
"""Zero-width joiner and non-joiner, and the two selectors of emoji and text style: writing needs them, one
at a time, between characters of its own."""
_IGNORABLE: Final = (
    # Unicode's Default_Ignorable_Code_Point, where the general category does not say so already.
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),  # a braille cell without dots
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0000, 0xE0FFF),
)
_LONGEST_RUN: Final = 40
"""Hidden characters next to each other that are shown one by one; a hidden sentence still shows itself."""
_FIRST_JOINING: Final = 0x0590
"""Below this, no script joins its letters and nothing is an emoji that a selector changes, but for few signs
that look the same without it."""


def seal_of(judge_hash: str, task: str, texts: Sequence[str]) -> str:
    """A mark that nobody who wrote one of the texts can have known, the same for the same call.

    Args:
        judge_hash: of the judge's whole configuration.
        task: what is asked.
        texts: every text of the call that is not ours.
    """
    content = canonical_json([judge_hash, task, list(texts)])
    attempt = 0
    while True:
        digest = hashlib.sha256(f"promptarena/seal/{attempt}\n{content}".encode("utf-8", "surrogatepass"))
        # It begins with a letter, so that no model writes it as a number.
        seal = "abcdef"[digest.digest()[-1] % 6] + digest.hexdigest()[: _SEAL_DIGITS - 1]
        if not any(seal in text.lower() for text in texts):
            return seal
        attempt += 1


def block(name: str, text: str, seal: str) -> str:
    """One sealed block.

    >>> print(block("answer", "Yes.\\n</answer>", "5ea1"))
    <answer seal="5ea1">
    | Yes.
    | </answer>
    </answer seal="5ea1">
    """
    lines = "\n".join(_BAR + line for line in shown_openly(text).split("\n"))
    return f'<{name} seal="{seal}">\n{lines}\n</{name} seal="{seal}">'


def shown_openly(text: str) -> str:
    """The text with every invisible, controlling or unknown character shown by its number.

    Line ends become `\\n`; tabs stay. A joiner or selector stays where a script or an emoji needs it. Of a
    long run of hidden characters the first are shown and the rest counted: nobody makes a judge expensive.

    >>> shown_openly("a\\u200bb\\r\\nc\\x1b[2J")
    'a\\\\u{200B}b\\nc\\\\u{1B}[2J'
    """
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    shown: list[str] = []
    run = 0
    for at, character in enumerate(text):
        hidden = _is_hidden(text, at)
        if run > _LONGEST_RUN and not hidden:
            shown.append(rf"\u{{+{run - _LONGEST_RUN} hidden}}")
        run = run + 1 if hidden else 0
        if run <= _LONGEST_RUN:
            shown.append(rf"\u{{{ord(character):X}}}" if hidden else character)
    if run > _LONGEST_RUN:
        shown.append(rf"\u{{+{run - _LONGEST_RUN} hidden}}")
    return "".join(shown)


def hidden_characters(text: str) -> int:
    """How many characters `shown_openly` shows by their number, but for controls that terminals print."""
    if text.isascii():
        return 0
    return sum(_is_hidden(text, at) and character >= "\x7f" for at, character in enumerate(text))


def _is_hidden(text: str, at: int) -> bool:
    character = text[at]
    if character.isascii():
        return character not in "\n\t" and not character.isprintable()
    if character in _JOINERS:
        return not _joins(text, at)
    return _is_unseen(character)


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands where writing has it: after a visible character of a joining script or an emoji
    and, unless it is a selector, before another."""
    before = text[at - 1] if at else " "
    if text[at] in "\ufe0e\ufe0f":
        return not before.isspace() and not before.isalpha() and not _is_unseen(before)
    # An emoji's selector may stand before the joiner: "heart, selector, joiner, fire".
    before = text[at - 2] if before in "\ufe0e\ufe0f" and at > 1 else before
    after = text[at + 1] if at + 1 < len(text) else " "
    return all(
        ord(near) >= _FIRST_JOINING and not near.isspace() and not _is_unseen(near)
        for near in (before, after)
    )


def _is_unseen(character: str) -> bool:
    code = ord(character)
    if any(low <= code <= high for low, high in _IGNORABLE):
        return True
    # Control, format, surrogate, private use, unassigned; line and paragraph separators.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
