"""One run against one requesting payer: each scripted exchange made once, and judged many times."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...reference.fhir.pdex import NEWEST
from ...reference.settings import Settings
from ...reference.trust import keys
from ..recorder import Recorder
from ..verdicts import CannotTell
from .key_set import fetch
from .listening import PlayedPayer
from .played import Visit
from .records import told_members
from .script import SCRIPTS, WHEN_DUE, Script, Told
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
    keys: tuple[Mapping[str, Any], ...]
    """The client's private key in each round."""
    rounds: tuple[Told, ...] = ()
    """What was told after each round; `told` is the last of it."""


class RequesterRun:
    """The played payer of a run, and every exchange made with it so far."""

    def __init__(
        self, settings: Settings, recorder: Recorder, *, trigger: str = "", wait_s: float = 0.0,
        port: int = 0, jwks_url: str = "",
    ) -> None:  # fmt: skip
        self.settings, self.recorder = settings, recorder
        self._trigger, self._wait_s, self._jwks_url = trigger, wait_s, jwks_url
        self._payer = PlayedPayer(port, settings.target.pdex_version or NEWEST)
        self._folder = tempfile.TemporaryDirectory(prefix="payer-exchange-")
        self._keys: dict[str, dict[str, Any]] = {}
        self._made: dict[str, Asked] = {}
        self._failed: dict[str, CannotTell] = {}

    @property
    def name(self) -> str:
        """What a report calls the target: a requesting payer has no address to be called by."""
        return "the payer that the trigger starts" if self._trigger else "the payer that called"

    @property
    def members(self) -> dict[str, Any]:
        """A truth table of the members that were played, for the masking of the report."""
        people = [m for asked in self._made.values() for m in asked.visit.members]
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
        script = SCRIPTS[name]
        visit = self._payer.begin(script)
        if self._trigger:
            return self._rounds(name, visit)
        if name != "plain":
            raise CannotTell("This exchange has to be started on cue: give --trigger COMMAND.")
        key = self._key(script, 0)
        self._environment(name, visit, key)
        self._await_calls(visit)
        return Asked(name, visit, None, (key,))

    def _rounds(self, name: str, visit: Visit) -> Asked:
        told, used = [], []
        for number in range(len(visit.script.rounds)):
            visit.round = number
            used.append(self._key(visit.script, number))
            told.append(run_trigger(self._trigger, self._environment(name, visit, used[-1])))
            if not (visit.calls or visit.knocks) and visit.script.rounds[number] != WHEN_DUE:
                raise CannotTell("The command of --trigger made no call to the played payer.")
        if visit.script.key_set and self._jwks_url:
            visit.key_set = fetch(self._jwks_url, None)
        if visit.key_set:
            self.recorder(visit.key_set)
        return Asked(name, visit, told[-1], tuple(used), tuple(told))

    def _key(self, script: Script, number: int) -> dict[str, Any]:
        """The client's key in a round: one of each algorithm for the whole run."""
        name = f"{script.key}-{number if script.new_key else 0}"
        if name not in self._keys:
            self._keys[name] = keys.generate(script.key)
        return self._keys[name]

    def _environment(self, name: str, visit: Visit, key: Mapping[str, Any]) -> dict[str, str]:
        folder = Path(self._folder.name)
        work = folder / name
        work.mkdir(exist_ok=True)
        (private := folder / "private.jwk.json").touch(mode=0o600)
        private.write_text(json.dumps(key), encoding="utf-8")
        script, member = visit.script, folder / "member.json"
        told = told_members(visit.members, bulk=script.is_bulk)
        if script.wanted_since:
            told["wanted"] = {"types": ["Observation"], "service_from": script.wanted_since}
        if script.representative:
            told["representative"] = {"person": visit.member.representative(), "role": "HPOWATT"}
        member.write_text(json.dumps(told), encoding="utf-8")
        found = {
            "SCENARIO": name,
            "OPERATION": "bulk-member-match" if script.is_bulk else "member-match",
            "ACTION": script.rounds[visit.round],
            "DAY": str(script.days[visit.round]) if script.days else "",
            "PDEX_VERSION": visit.version,
            "FHIR_BASE": visit.fhir_base,
            "TOKEN_ENDPOINT": visit.token_url,
            "CLIENT_ID": CLIENT_ID,
            "KEY_FILE": str(private),
            "MEMBER_FILE": str(member),
            "FILE_ORIGINS": visit.file_host,
            "WORK_FOLDER": str(work),
        }
        found |= {"AUTH": script.auth}
        found |= self._payer.community.write(folder) if script.udap else {}
        found |= self._payer.certificates.told() if script.tls else {}
        found |= self._payer.certificates.told_for_key_set() if script.key_set else {}
        return {f"PAYER_EXCHANGE_{name}": value for name, value in found.items()}

    def _await_calls(self, visit: Visit) -> None:
        until = time.monotonic() + self._wait_s
        while time.monotonic() < until:
            last = visit.calls[-1].exchange.started if visit.calls else 0.0
            if last and time.time() - last > _QUIET_S and visit.of("file"):
                return
            time.sleep(0.2)
        if not visit.calls:
            raise CannotTell(f"No call came to {visit.fhir_base} within {self._wait_s:.0f} s.")
