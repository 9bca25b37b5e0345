"""Who generates: bundles on this machine, found by name and used through one class a task."""

from __future__ import annotations

from wenfang.backends.shelf import find_bundle, list_bundles

__all__ = ["find_bundle", "list_bundles"]
