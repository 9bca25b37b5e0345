"""Where Wenfang keeps its state, and whether it may leave the machine. Asking creates nothing."""

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


def offline() -> bool:
    """Whether WENFANG_OFFLINE forbids the network: any value but 0 does."""
    return os.environ.get("WENFANG_OFFLINE", "").strip() not in ("", "0")
