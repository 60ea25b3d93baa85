"""The two roles of an exchange, and the other names that the guides and the field give them."""

from __future__ import annotations

import difflib

from .errors import SettingsError

REQUESTING, RESPONDING = "requesting", "responding"
# A payer that receives is the client and the member's new plan; one that shares is the server and
# the old plan (seed page, "actors").
ALIASES = {
    REQUESTING: ("requesting", "requester", "receiver", "target", "client", "new"),
    RESPONDING: ("responding", "responder", "sharer", "source", "server", "old"),
}
_WORDS = frozenset({"payer", "plan"})


def role(alias: str) -> str:
    """The role a name stands for, `requesting` or `responding`, as in "Old Payer" or "client".

    Raises SettingsError with the names there are.
    """
    words = [word for word in alias.replace("-", " ").lower().split() if word not in _WORDS]
    for name, aliases in ALIASES.items():
        if len(words) == 1 and words[0] in aliases:
            return name
    known = [other for aliases in ALIASES.values() for other in aliases]
    near = difflib.get_close_matches(" ".join(words), known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise SettingsError(f"There is no role of that name.{hint} Roles are {', '.join(known)}.")


def roles(aliases: str) -> frozenset[str]:
    """The roles of one node, which may hold both: names parted by commas or plus signs."""
    return frozenset(role(alias) for alias in aliases.replace("+", ",").split(","))
