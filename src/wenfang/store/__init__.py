"""Everything that was made, what it was made from, and under which licences."""

from wenfang.store.lineage import Lineage, Step, render_lineage, trace
from wenfang.store.manifest import (
    KINDS,
    Link,
    Manifest,
    from_record,
    read_manifest,
    to_record,
    write_manifest,
)
from wenfang.store.place import home, offline
from wenfang.store.store import Store
from wenfang.store.upkeep import KEPT_KINDS, Collected, Damage, KindUsage, Usage

__all__ = [
    "KEPT_KINDS",
    "KINDS",
    "Collected",
    "Damage",
    "KindUsage",
    "Lineage",
    "Link",
    "Manifest",
    "Step",
    "Store",
    "Usage",
    "from_record",
    "home",
    "offline",
    "read_manifest",
    "render_lineage",
    "to_record",
    "trace",
    "write_manifest",
]
