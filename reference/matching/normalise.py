"""Names and identifiers in the one form in which they are compared.

The raw values stay in the request: they are what the payer echoes. Nothing is truncated or padded;
a text too long to be a name or an identifier becomes nothing, which agrees with nobody.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Beyond this no text is a name or a card number. The limit keeps every comparison linear: Unicode
# normalisation sorts runs of combining marks, and that is quadratic in the length of the run.
LONGEST = 256

# Letters that Unicode does not decompose, though Latin-script systems write them this way.
_UNDECOMPOSED = {
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ŧ": "t",
    "æ": "ae", "œ": "oe", "þ": "th", "ð": "d",
}  # fmt: skip
# Marks inside a word: they vanish, so that O'Brien is OBrien. All else that is no letter splits.
_INSIDE = frozenset(
    "'.`\N{ACUTE ACCENT}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{PRIME}"
    "\N{MODIFIER LETTER TURNED COMMA}\N{MODIFIER LETTER APOSTROPHE}\N{MODIFIER LETTER PRIME}"
)
_LATIN_MARKS = range(0x300, 0x370)


class _Letters(dict[int, str | None]):
    """A translation table: letters and digits stay, marks inside a word go, the rest separates."""

    def __missing__(self, code: int) -> str | None:
        # Not stored: a table that learns would grow with what strangers send.
        return _letter(chr(code))


def _letter(char: str) -> str | None:
    if char in _INSIDE or ord(char) in _LATIN_MARKS:
        return None
    if char in _UNDECOMPOSED:
        return _UNDECOMPOSED[char]
    if char.isalnum():
        return char
    category = unicodedata.category(char)
    if category == "Cf":
        return None
    # Vowel signs of Indic and Arabic scripts are marks, and tell names apart.
    return char if category.startswith("M") else " "


_LETTERS = _Letters({code: _letter(chr(code).lower()) for code in range(128)})


def tokens(text: Any) -> tuple[str, ...]:
    """Return the words of a name, folded: no case, no accents, no punctuation."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return ()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).casefold()
        text = unicodedata.normalize("NFKD", text)
    return tuple(text.translate(_LETTERS).split())


def tokens_of(texts: Iterable[Any]) -> tuple[str, ...]:
    """Return the words of several texts, in their order."""
    return tuple(word for text in texts for word in tokens(text))


def identifier(text: Any) -> str:
    """Return an identifier without case, spaces and punctuation; empty when it is none."""
    if isinstance(text, str) and text.isascii() and text.isalnum() and len(text) <= LONGEST:
        return text.upper()
    return "".join(tokens(text)).upper()


def date(text: Any) -> str:
    """Return a full date as it stands, YYYY-MM-DD; empty for anything else, also a partial date."""
    if not isinstance(text, str) or len(text) != 10 or not text.isascii():
        return ""
    digits = text[:4] + text[5:7] + text[8:]
    return text if text[4] == text[7] == "-" and digits.isdigit() else ""


def day(text: Any) -> str:
    """Return the date part of a FHIR dateTime, as precise as given; empty when unreadable."""
    if not isinstance(text, str) or not text.isascii():
        return ""
    head = text[:10]
    return head if head[:4].isdigit() and len(head) in {4, 7, 10} else ""
