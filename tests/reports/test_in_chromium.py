"""The page as a browser shows it: no script error, and a picture of it to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from payer_exchange.reports.exchanges import ShownExchange
from payer_exchange.reports.html import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), "")
ARTEFACTS = os.environ.get("PAYER_EXCHANGE_ARTEFACTS", "")
PNG = b"\x89PNG\r\n\x1a\n"

pytestmark = pytest.mark.skipif(not BROWSER, reason="Chromium is not installed here.")


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What Chromium writes about a page that it opens."""
    return subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={page.parent / 'browser'}", *options, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


@pytest.fixture
def page(found, tmp_path: Path) -> Path:
    shown = {
        name: ShownExchange(name, "POST", "https://payer.example/token", 200, 12.0,
                            "POST https://payer.example/token", "HTTP 200", "curl -i")
        for name in ("e0001", "e0002")
    }  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(render(found, shown), encoding="utf-8")
    return path


def test_the_page_runs_its_script_without_an_error(page: Path) -> None:
    done = browse(page, "--dump-dom")
    # The filter is hidden in the file: only the script shows it.
    assert '<div class="filter" role="search" hidden' not in done.stdout
    assert '<div class="filter" role="search"' in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    # And an error would be seen, if there was one.
    page.write_text("<script>throw new Error('seen')</script>", encoding="utf-8")
    assert "CONSOLE" in browse(page, "--dump-dom").stderr


def test_a_picture_of_the_page_is_kept(page: Path, tmp_path: Path) -> None:
    folder = Path(ARTEFACTS) if ARTEFACTS else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "report.png"
    picture.unlink(missing_ok=True)
    browse(page, f"--screenshot={picture}", "--window-size=1200,1600", "--hide-scrollbars")
    content = picture.read_bytes()
    assert content.startswith(PNG)
    # A blank page of this size is some kilobytes.
    assert len(content) > 30_000
