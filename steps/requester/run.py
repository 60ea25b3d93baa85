"""One run against one requesting payer: each scripted exchange made once, and judged many times."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...reference.settings import Settings
from ...reference.trust import keys
from ..recorder import Recorder
from ..verdicts import CannotTell
from .played import PlayedPayer, Visit
from .script import SCRIPTS, Told
from .trigger import run_trigger

CLIENT_ID = "asking-payer"
# How long nothing may come before an exchange without a trigger is taken for ended.
_QUIET_S = 3.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One exchange: what the wire saw, and what the requester believes."""

    name: str
    visit: Visit
    told: Told | None


class RequesterRun:
    """The played payer of a run, and every exchange made with it so far."""

    def __init__(
        self, settings: Settings, recorder: Recorder, *, trigger: str = "", wait_s: float = 0.0,
        port: int = 0,
    ) -> None:  # fmt: skip
        self.settings, self.recorder = settings, recorder
        self._trigger, self._wait_s = trigger, wait_s
        self._payer = PlayedPayer(port)
        self._folder = tempfile.TemporaryDirectory(prefix="payer-exchange-")
        self.key = keys.generate()
        self._made: dict[str, Asked] = {}
        self._failed: dict[str, CannotTell] = {}

    @property
    def name(self) -> str:
        """What a report calls the target: a requesting payer has no address to be called by."""
        return "the payer that the trigger starts" if self._trigger else "the payer that called"

    @property
    def members(self) -> dict[str, Any]:
        """A truth table of the members that were played, for the masking of the report."""
        people = [asked.visit.member for asked in self._made.values()]
        return {"requests": [
            {"patient": m.demographics(m.patient_id), "coverage_to_match": m.coverage(m.patient_id)}
            for m in people
        ]}  # fmt: skip

    def exchange(self, name: str) -> Asked:
        """The exchange under a script; raises CannotTell when none was made."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._made:
            try:
                self._made[name] = self._make(name)
            except CannotTell as error:
                self._failed[name] = error
                raise
            for call in self._made[name].visit.calls:
                self.recorder(call.exchange)
        return self._made[name]

    def clean_up(self) -> list[str]:
        """Stop the played payer; nothing can be left behind."""
        self._payer.close()
        self._folder.cleanup()
        return []

    def _make(self, name: str) -> Asked:
        visit = self._payer.begin(SCRIPTS[name])
        environment = self._environment(name, visit)
        if self._trigger:
            told = run_trigger(self._trigger, environment)
            if not visit.calls:
                raise CannotTell("The command of --trigger made no call to the played payer.")
            return Asked(name, visit, told)
        if name != "plain":
            raise CannotTell("This exchange has to be started on cue: give --trigger COMMAND.")
        self._await_calls(visit)
        return Asked(name, visit, None)

    def _environment(self, name: str, visit: Visit) -> dict[str, str]:
        folder = Path(self._folder.name)
        key, member = folder / "private.jwk.json", folder / "member.json"
        key.touch(mode=0o600)
        key.write_text(json.dumps(self.key), encoding="utf-8")
        member.write_text(json.dumps(visit.member.told()), encoding="utf-8")
        return {
            "PAYER_EXCHANGE_SCENARIO": name,
            "PAYER_EXCHANGE_FHIR_BASE": visit.fhir_base,
            "PAYER_EXCHANGE_TOKEN_ENDPOINT": visit.token_url,
            "PAYER_EXCHANGE_CLIENT_ID": CLIENT_ID,
            "PAYER_EXCHANGE_KEY_FILE": str(key),
            "PAYER_EXCHANGE_MEMBER_FILE": str(member),
            "PAYER_EXCHANGE_FILE_ORIGINS": visit.file_host,
        }

    def _await_calls(self, visit: Visit) -> None:
        until = time.monotonic() + self._wait_s
        while time.monotonic() < until:
            last = visit.calls[-1].exchange.started if visit.calls else 0.0
            if last and time.time() - last > _QUIET_S and visit.of("file"):
                return
            time.sleep(0.2)
        if not visit.calls:
            raise CannotTell(f"No call came to {visit.fhir_base} within {self._wait_s:.0f} s.")
