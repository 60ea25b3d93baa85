"""Narrative as FHIR allows it: a div of XHTML with text in it, and nothing that acts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from xml.parsers import expat

_ELEMENTS = frozenset(
    [
        "div",
        "p",
        "br",
        "hr",
        "b",
        "i",
        "u",
        "s",
        "em",
        "strong",
        "small",
        "big",
        "tt",
        "dfn",
        "code",
        "samp",
        "kbd",
        "var",
        "cite",
        "abbr",
        "acronym",
        "q",
        "sub",
        "sup",
        "ins",
        "del",
        "span",
        "a",
        "img",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "blockquote",
        "address",
        "bdo",
    ]
)
# Those of HTML 4.0 that say how a text looks and where it leads.
_ATTRIBUTES = frozenset(
    "id class style title lang dir name href hreflang rel rev charset coords shape accesskey"  # noqa: SIM905 - so many words read best as words
    " tabindex src alt width height longdesc ismap usemap border hspace vspace cite datetime"
    " summary frame rules cellspacing cellpadding align valign char charoff abbr axis headers scope"
    " rowspan colspan nowrap bgcolor span start value compact type clear noshade size color face"
    " target xmlns".split()
)
_XML = "http://www.w3.org/XML/1998/namespace "
_NAMESPACE = "http://www.w3.org/1999/xhtml "


class _Refused(Exception):
    pass


# Asked for the type and for each profile in turn.
@lru_cache(maxsize=16)
def _is_safe(text: str) -> bool:
    seen: list[str] = []
    try:
        _parser(seen).Parse(_with_entities(text), True)
    except (expat.ExpatError, _Refused, ValueError):
        return False
    return bool("".join(seen).strip())


def is_safe_narrative(text: Any) -> bool:
    """Whether a text is one div of allowed XHTML with content. Never raises, never expands."""
    if not isinstance(text, str) or "<!" in text.replace("<!--", ""):
        return False
    return _is_safe(text)


def _with_entities(text: str) -> bytes:
    # Only entities of XML and of HTML; an unknown one is as good as a character.
    if "&" not in text:
        return text.encode("utf-8", "surrogatepass")
    for name in ("nbsp", "copy", "reg", "mdash", "ndash", "hellip", "deg", "micro", "middot"):
        text = text.replace(f"&{name};", "&#160;")
    return text.encode("utf-8", "surrogatepass")


def _parser(seen: list[str]) -> Any:
    parser = expat.ParserCreate(namespace_separator=" ")
    started: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        plain = name.removeprefix(_NAMESPACE)
        if plain == name or plain not in _ELEMENTS or (not started and plain != "div"):
            raise _Refused
        started.append(plain)
        if any(_acts(key, value) for key, value in attributes.items()):
            raise _Refused
        if plain == "img":
            seen.append("image")

    parser.StartElementHandler = start
    parser.CharacterDataHandler = seen.append
    return parser


def _acts(key: str, value: str) -> bool:
    known = key in _ATTRIBUTES or key.startswith(_XML)
    return not known or value.strip().lower().startswith("javascript:")
