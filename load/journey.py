"""The journeys of a requesting payer, each from its first step to its last, measured as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from ..reference.errors import PayerExchangeError, SettingsError
from .bulk import BulkJourney
from .conversation import Conversation
from .delivery import Delivery, since
from .exchanging import ExchangeJourney
from .members import ExpectedMember

# What reading an answer of another shape than the guides say can raise.
_ODD_SHAPES = (ValueError, KeyError, IndexError, TypeError, AttributeError)


class Journey:
    """The journeys of one requesting payer at one target.

    `group` is what a Bulk Data server exports; empty: all its patients. `exchange` goes the
    journeys that a requesting payer makes.
    """

    def __init__(
        self, talk: Conversation, group: str = "", exchange: ExchangeJourney | None = None
    ) -> None:
        self.talk, self._group, self._exchange = talk, group, exchange
        self._bulk = BulkJourney(talk)

    def ready(self) -> None:
        """Ask for the token of the first step, for all whose clients keep it."""
        try:
            self.talk.target.token(self.talk.first_scope)
        except PayerExchangeError as error:
            self.talk.meter.broken("token", str(error))

    def go(self, name: str, members: Sequence[ExpectedMember], *, sampled: bool) -> None:
        """Go the journey of that name; those of one member take the first."""
        whole = "job" if name in ("export", "data-export") else f"{name}-job"
        with self._whole(whole) as started:
            way: Callable[[Sequence[ExpectedMember], bool], Delivery] = getattr(
                self, f"_go_{name.replace('-', '_')}"
            )
            found = way(members, sampled)
            self.talk.meter.measure(
                whole, since(started), octets=found.octets, resources=found.resources
            )

    def _go_token(self, _: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        self.talk.target.token(self.talk.first_scope)
        return Delivery(sampled=False)

    def _go_match(self, members: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        self.talk.asked(members[0])
        return Delivery(sampled=False)

    def _go_search(self, members: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        """Token, match, member-bound token, and a search of the member's claims."""
        ident = self.talk.match(members[0])
        url = f"ExplanationOfBenefit?patient=Patient/{ident}"
        found = Delivery(sampled=False)
        found.resources = sum(1 for _ in self.talk.entries(url, ident, "search"))
        return found

    def _go_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """Token, match, member-bound token, export, download and clean-up of one member."""
        ident = self.talk.match(members[0])
        token = lambda: self.talk.member_token(ident)  # noqa: E731 - a way to ask for it anew
        found = self.talk.exported(f"Patient/{ident}/$export", token, sampled=sampled)
        if sampled:
            self.talk.compare("export-is-the-truth", found, members[:1])
        return found

    def _go_everything(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """Token, match, member-bound token, and every page of `$everything` of one member."""
        ident = self.talk.match(members[0])
        found = Delivery(sampled)
        for entry in self.talk.entries(f"Patient/{ident}/$everything", ident, "everything"):
            found.resources += 1
            if sampled:
                found.keep(entry.get("resource"))
        if sampled:
            self.talk.compare("everything-is-the-truth", found, members[:1])
        return found

    def _go_data_export(self, _: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """An export as any Bulk Data server knows it: of a Group that is there, or of everybody."""
        found = self.talk.exported(
            f"Group/{self._group}/$export" if self._group else "Patient/$export",
            lambda: self.talk.target.token(self.talk.auth.data_scope),
            by_get=True,
            sampled=sampled,
        )
        if sampled:
            other = sum(not key or "None" in key.split("/") for key in found.keys)
            said = f"{other} lines are no resources." * bool(other)
            self.talk.meter.check("lines-are-resources", said)
        return found

    def _go_bulk_match(self, members: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        return self._bulk.match(members)[1]

    def _go_bulk_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._bulk.export(members, "davinci-data-export", sampled=sampled)

    def _go_group_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._bulk.export(members, "export", sampled=sampled)

    def _go_exchange(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._requesting().one(members[0], self.talk.today(), sampled=sampled)

    def _go_bulk_exchange(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._requesting().many(members, self.talk.today(), sampled=sampled)

    def _requesting(self) -> ExchangeJourney:
        if self._exchange is None:
            raise SettingsError("No requesting payer is named that could be told to exchange.")
        return self._exchange

    @contextmanager
    def _whole(self, name: str) -> Iterator[float]:
        """The moment a journey begins; one that cannot go on is a broken measure, not a crash."""
        self.talk.begin()
        try:
            yield perf_counter()
        except PayerExchangeError as error:
            self.talk.meter.broken(name, str(error))
        except _ODD_SHAPES as error:
            kind = type(error).__name__
            self.talk.meter.broken(
                name, f"An answer has not the shape that the guides say ({kind})."
            )
