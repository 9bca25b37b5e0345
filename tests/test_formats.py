"""One contract for every format: sealed, good, and each fault seen for what it is."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sample_files import SAMPLES, media_type, sample
from wenfang.seal import FORMATS, LabelSettings, Payload, Provenance, Sealer, Verdict, emit, verify
from wenfang.seal.formats import Marking, format_of, started_format
from wenfang.seal.inputs import SIDECARS
from wenfang.seal.label import label_fault
from wenfang.store import Manifest

EVERY = tuple(SAMPLES)
EMBEDDED = tuple(s for s in EVERY if FORMATS[media_type(s)].credential == "embedded")


@pytest.fixture(scope="session")
def sealer(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return Sealer.at(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def sealed_folder(tmp_path_factory: pytest.TempPathFactory, sealer: Sealer) -> Path:
    """Every sample, sealed; only to be read."""
    folder = tmp_path_factory.mktemp("sealed")
    for suffix in EVERY:
        publish(sealer, folder / f"a.{suffix}")
    return folder


def publish(sealer: Sealer, path: Path, content: bytes | None = None) -> Path:
    suffix = path.suffix[1:]
    core = Manifest(kind="asset", name=path.name, media_type=media_type(suffix))
    payload = Payload(media_type=media_type(suffix), data=content or sample(suffix))
    return emit(payload, path, Provenance(manifest=core), sealer).path


@pytest.fixture
def copy(sealed_folder: Path, tmp_path: Path) -> Path:
    """A folder of copies to spoil."""
    return Path(shutil.copytree(sealed_folder, tmp_path / "copy"))


def look(path: Path, sealer: Sealer) -> Verdict:
    return verify([path], (sealer.identity.root,))[0]


def test_there_is_a_sample_of_every_format_and_no_format_is_forgotten() -> None:
    assert {media_type(suffix) for suffix in EVERY} == set(FORMATS)
    assert len(EVERY) == 23


@pytest.mark.parametrize("suffix", EVERY)
def test_a_sealed_file_is_good(sealed_folder: Path, sealer: Sealer, suffix: str) -> None:
    verdict = look(sealed_folder / f"a.{suffix}", sealer)
    assert verdict.outcome == "good", verdict
    assert verdict.layer("visible").status == "good"


@pytest.mark.parametrize("suffix", EVERY)
def test_exactly_one_label_is_in_the_file_or_beside_it(sealed_folder: Path, suffix: str) -> None:
    path = sealed_folder / f"a.{suffix}"
    chosen = FORMATS[media_type(suffix)]
    beside = (sealed_folder / f"a.{suffix}.aigc.json").exists()
    labels = chosen.labels(path.read_bytes())
    assert len(labels) + beside == 1
    assert [label_fault(label) for label in labels] in ([], [None])


@pytest.mark.parametrize("suffix", EVERY)
def test_flipped_bits_are_tampering(copy: Path, sealer: Sealer, suffix: str) -> None:
    path = copy / f"a.{suffix}"
    whole = path.read_bytes()
    draw = random.Random(suffix)
    for _ in range(6):
        spoilt = bytearray(whole)
        spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
        path.write_bytes(spoilt)
        assert look(path, sealer).outcome == "tampered"


@pytest.mark.parametrize("suffix", EVERY)
def test_appended_bytes_and_a_cut_end_are_tampering(
    copy: Path, sealer: Sealer, suffix: str
) -> None:
    path = copy / f"a.{suffix}"
    whole = path.read_bytes()
    for spoilt in (whole + b"\0", whole + b"PK\x05\x06" + b"\0" * 18, whole[: len(whole) // 2]):
        path.write_bytes(spoilt)
        assert look(path, sealer).outcome == "tampered"


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize("beside", SIDECARS)
def test_a_flipped_bit_in_a_sidecar_is_tampering(
    copy: Path, sealer: Sealer, suffix: str, beside: str
) -> None:
    path = copy / f"a.{suffix}{beside}"
    if not path.exists():
        return
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)
    assert look(copy / f"a.{suffix}", sealer).outcome == "tampered"


@pytest.mark.parametrize("suffix", EVERY)
def test_the_sidecars_of_another_file_are_tampering(
    copy: Path, sealer: Sealer, suffix: str, tmp_path: Path
) -> None:
    other = publish(sealer, tmp_path / "other" / f"a.{suffix}")
    for beside in SIDECARS:
        if (found := other.with_name(other.name + beside)).exists():
            shutil.copy(found, copy / found.name)
    changed = sample(suffix)
    assert changed  # the same payload sealed twice has two signatures
    verdict = look(copy / f"a.{suffix}", sealer)
    # Equal bytes in a format without signature inside are the same file with its own sidecars.
    same = other.read_bytes() == (copy / f"a.{suffix}").read_bytes()
    assert verdict.outcome == ("good" if same else "tampered")


@pytest.mark.parametrize("suffix", EVERY)
def test_a_strangers_seal_is_not_ours(tmp_path: Path, sealer: Sealer, suffix: str) -> None:
    path = publish(Sealer.at(tmp_path / "stranger"), tmp_path / f"a.{suffix}")
    assert look(path, sealer).outcome == "not ours"
    assert verify([path])[0].outcome == "not ours"


@pytest.mark.parametrize("suffix", EMBEDDED)
def test_a_lone_file_with_its_credential_inside_is_good(
    copy: Path, sealer: Sealer, suffix: str
) -> None:
    (copy / f"a.{suffix}.wenfang.json").unlink()
    assert look(copy / f"a.{suffix}", sealer).outcome == "good"


@pytest.mark.parametrize("suffix", [s for s in EVERY if s not in EMBEDDED])
def test_a_lone_file_without_its_sidecars_cannot_be_told(
    copy: Path, sealer: Sealer, suffix: str
) -> None:
    for beside in SIDECARS:
        (copy / f"a.{suffix}{beside}").unlink(missing_ok=True)
    found = look(copy / f"a.{suffix}", sealer) if suffix != "zip" else None
    assert found is None or found.outcome in ("cannot tell", "not ours")


@pytest.mark.parametrize("suffix", EVERY)
def test_an_unlabelled_file_is_never_good(tmp_path: Path, sealer: Sealer, suffix: str) -> None:
    if suffix == "zip":  # what is in a zip without a seal is examined instead
        return
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(sample(suffix))
    assert look(path, sealer).outcome in ("not ours", "cannot tell")


@pytest.mark.parametrize("suffix", EVERY)
def test_a_second_label_is_seen(sealer: Sealer, suffix: str) -> None:
    chosen = FORMATS[media_type(suffix)]
    if chosen.write is None:
        return
    marking = Marking(settings=LabelSettings(), pointer="0" * 12)
    label = dict.fromkeys(
        ("Label", "ContentProducer", "ProduceID", "ContentPropagator", "PropagateID"), "1"
    )
    full = {**label, "ReservedCode1": "", "ReservedCode2": ""}
    once = chosen.write(chosen.draw(sample(suffix), marking), full)
    assert len(chosen.labels(once.data)) == 1
    if chosen.strip is not None:
        assert chosen.labels(chosen.strip(once.data)) == []


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize(
    "junk", [b"", b"\0", b"\xff" * 64, b"RIFF\xff\xff\xff\xffWAVE", b"%PDF-1.7"]
)
def test_readers_take_any_bytes(suffix: str, junk: bytes) -> None:
    chosen = FORMATS[media_type(suffix)]
    assert isinstance(chosen.labels(junk), list)
    assert chosen.measure(junk, {"form": "x"}).status != "good" or suffix in ("json", "csv", "zip")
    assert chosen.measure(junk, None).name == "visible"
    if chosen.trace is not None:
        assert chosen.trace(junk, True).pointer is None
    if chosen.strip is not None:
        assert isinstance(chosen.strip(junk), bytes)


@pytest.mark.parametrize("suffix", EVERY)
def test_a_file_is_known_by_its_first_bytes_alone(suffix: str) -> None:
    chosen, started = format_of(f"a.{suffix}"), started_format(sample(suffix))
    assert chosen is not None
    assert started is (chosen if chosen.starts is not None else None)


@pytest.mark.parametrize("language", ["zh", "en", "both"])
@pytest.mark.parametrize("suffix", [s for s in EVERY if s not in ("mp4", "webm")])
def test_every_wording_can_be_sealed(
    tmp_path: Path, sealer: Sealer, suffix: str, language: str
) -> None:
    spoken = replace(sealer, label=LabelSettings(language=language))  # type: ignore[arg-type]
    path = publish(spoken, tmp_path / f"a.{suffix}")
    assert look(path, sealer).outcome == "good"


@pytest.mark.parametrize(
    "suffix", ["txt", "md", "html", "png", "pdf", "wav", "docx", "pptx", "mid"]
)
def test_the_label_may_stand_at_the_start(tmp_path: Path, sealer: Sealer, suffix: str) -> None:
    placed = replace(sealer, label=LabelSettings(position="start"))
    path = publish(placed, tmp_path / f"a.{suffix}")
    assert look(path, sealer).outcome == "good"
