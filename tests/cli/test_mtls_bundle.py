"""`payer-exchange mtls-bundle`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.settings import read_settings
from payer_exchange.reference.trust.pki import TestAuthority

BASE, TOKEN = "https://old.example/fhir", "https://old.example/oauth/token"


@pytest.fixture
def published(command, tmp_path: Path) -> Path:
    """A folder with a bundle, its authority's root, and another root."""
    authority = TestAuthority.create(SystemClock(), name="bundles")
    authority.issue(uris=[BASE]).write(tmp_path, "signer")
    (tmp_path / "root.pem").write_bytes(authority.anchor_pem())
    other = TestAuthority.create(SystemClock(), name="others")
    (tmp_path / "other.pem").write_bytes(other.anchor_pem())
    [key] = [p.name for p in tmp_path.glob("signer*") if "key" in p.name]
    made = command(
        "mtls-bundle", "make", "--fhir-base", BASE, "--token-url", TOKEN,
        "--support-url", "https://old.example/support", "--authorities", "root.pem",
        "--payer", "https://example.org/payer-id", "OLD", "Old\nPlan",
        "--certificate", "signer.pem", "--key", key, "--out", "bundle.json", cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return tmp_path


def read(command, folder: Path, anchors: str = "root.pem"):
    return command("mtls-bundle", "read", "bundle.json", "--trust-anchors", anchors,
                   "--out", "client", cwd=folder)  # fmt: skip


def test_settings_come_from_a_bundle_that_is_signed(command, published: Path) -> None:
    done = read(command, published)
    assert done.returncode == 0, done.stderr
    target = read_settings(published / "client/payer-exchange.toml").target
    assert (target.fhir_base, target.auth.token_url, target.auth.method) == (BASE, TOKEN, "mtls")
    kept = (published / "client" / target.tls.authorities).read_bytes()
    assert kept == (published / "root.pem").read_bytes()
    again = read(command, published)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_nothing_is_written_from_a_bundle_that_was_touched(command, published: Path) -> None:
    file = published / "bundle.json"
    bundle = json.loads(file.read_text())
    bundle["entry"][0]["resource"]["address"] = "https://evil.example"
    file.write_text(json.dumps(bundle))
    done = read(command, published)
    assert done.returncode == 3
    assert "signature does not hold" in done.stderr
    assert not (published / "client").exists()


def test_a_signer_that_nobody_vouches_for_is_named(command, published: Path) -> None:
    done = read(command, published, "other.pem")
    assert done.returncode == 3
    assert "signer is not trusted" in done.stderr
    assert not (published / "client").exists()
