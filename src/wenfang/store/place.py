"""Where Wenfang keeps its state. Asking creates nothing."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """WENFANG_HOME, or the platform's data folder for wenfang; it need not exist yet."""
    chosen = os.environ.get("WENFANG_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_data_dir("wenfang", appauthor=False))
