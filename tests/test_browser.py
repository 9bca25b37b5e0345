"""A real browser opens what was sealed: the label is seen by people, not only by our readers."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sample_files import sample
from wenfang.seal import Payload, Provenance, Sealer, emit
from wenfang.store import Manifest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-pdf-header-footer",
]
# CI sets WENFANG_BROWSER, so that a browser that is missing there is a failure and no skip.
needs_browser = pytest.mark.skipif(
    not BROWSER and not os.environ.get("WENFANG_BROWSER"), reason="no Chromium is installed"
)
META = re.compile(r'<meta[^>]*name="AIGC"[^>]*content="([^"]*)"', re.IGNORECASE)


def browse(tmp_path: Path, *arguments: str) -> str:
    assert BROWSER, "no Chromium is installed"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS, profile, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def seal(tmp_path: Path, name: str, media_type: str, data: bytes) -> Path:
    core = Manifest(kind="asset", name=name, media_type=media_type)
    payload = Payload(media_type=media_type, data=data)
    sealer = Sealer.at(tmp_path / "home")
    return emit(payload, tmp_path / name, Provenance(manifest=core), sealer).path


@needs_browser
@pytest.mark.slow
def test_a_browser_prints_the_visible_label_of_a_page(tmp_path: Path) -> None:
    from pypdf import PdfReader

    page = seal(tmp_path, "a.html", "text/html", sample("html"))
    browse(tmp_path, f"--print-to-pdf={tmp_path / 'printed.pdf'}", page.as_uri())
    printed = PdfReader(io.BytesIO((tmp_path / "printed.pdf").read_bytes())).pages[0].extract_text()
    assert "Some words." in printed
    assert "AI GENERATED" in printed
    assert "生成" in printed


@needs_browser
@pytest.mark.slow
def test_a_browser_finds_exactly_one_metadata_label_in_a_page(tmp_path: Path) -> None:
    page = seal(tmp_path, "a.html", "text/html", sample("html"))
    found = META.findall(browse(tmp_path, "--dump-dom", page.as_uri()))
    assert len(found) == 1
    assert json.loads(html.unescape(found[0]))["Label"] == "1"


@needs_browser
@pytest.mark.slow
def test_a_browser_shows_the_label_of_a_drawing(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    drawing = seal(tmp_path, "a.svg", "image/svg+xml", sample("svg"))
    plain = tmp_path / "plain.svg"
    plain.write_bytes(sample("svg"))
    shots = []
    for path in (plain, drawing):
        shot = tmp_path / f"{path.stem}.png"
        browse(tmp_path, f"--screenshot={shot}", "--window-size=400,300", path.as_uri())
        with Image.open(shot) as image:
            shots.append(np.asarray(image.convert("RGB"), np.int16))
    changed = np.argwhere(np.abs(shots[0] - shots[1]).max(axis=2) > 60)
    assert len(changed) > 100, "no label is seen"
    # One corner and nothing else: the subject stays as it was.
    height = changed[:, 0].max() - changed[:, 0].min()
    assert height < 120
