"""Laws of the check for licences."""

from __future__ import annotations

import pytest

from wenfang.checks import Material, judge
from wenfang.checks.rights import forbids_commerce, rights
from wenfang.errors import RightsError
from wenfang.scenarios.rights import require_commercial
from wenfang.store import Lineage, Manifest


@pytest.mark.parametrize(
    "licence",
    ["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "PolyForm-Noncommercial-1.0.0", "NOASSERTION", "NONE", "",
     "LicenseRef-research-only", "LicenseRef-Non-Commercial", "NCGL-UK-2.0", "cc-by-nc-4.0",
     "MIT AND CC-BY-NC-4.0", "(MIT OR CC-BY-NC-4.0) AND CC-BY-NC-SA-4.0",
     "CC-BY-NC-4.0 OR NOASSERTION", "LicenseRef-all-rights-reserved"],
)  # fmt: skip
def test_what_forbids_commerce_or_leaves_it_open_is_refused(licence: str) -> None:
    assert forbids_commerce(licence)


@pytest.mark.parametrize(
    "licence",
    ["MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "Unicode-3.0", "ISC", "NCSA",
     "LicenseRef-public-domain", "MIT AND CC-BY-SA-4.0", "MIT OR CC-BY-NC-4.0"],
)  # fmt: skip
def test_what_allows_commerce_passes(licence: str) -> None:
    assert not forbids_commerce(licence)


LICENCES = {"MIT": ("poems",), "CC-BY-NC-4.0": ("captions", "photographs")}


def test_commercial_use_is_blocked_with_licence_and_material() -> None:
    report = judge(Material(text="x", licences=LICENCES, commercial=True), ["rights"])
    assert (report.verdict.decision, report.checks[0].value) == ("block", 1.0)
    assert "captions, photographs came under CC-BY-NC-4.0" in str(report.verdict)


def test_other_use_is_a_note_and_unknown_licences_are_never_a_pass() -> None:
    for material in (
        Material(licences=LICENCES),
        Material(commercial=True),
    ):
        assert (rights(material).verdict, rights(material).value) == ("note", None)
    assert rights(Material(licences={"MIT": ("poems",)}, commercial=True)).verdict == "pass"


def test_the_gate_before_the_work_asks_the_same_rule() -> None:
    source = Manifest(
        kind="source", name="captions", media_type="text/plain", licence="CC-BY-NC-4.0"
    )
    lineage = Lineage(asset="a" * 64, manifests={"a" * 64: source})
    with pytest.raises(RightsError, match="captions under CC-BY-NC-4"):
        require_commercial(lineage, "model")
    free = Manifest(kind="source", name="poems", media_type="text/plain", licence="MIT")
    require_commercial(Lineage(asset="a" * 64, manifests={"a" * 64: free}), "model")
