"""One thing that a model made, and how it is published."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wenfang.atomic import sha256_bytes
from wenfang.backends.texts import OnText
from wenfang.device import environment
from wenfang.engine.keeping import label_settings
from wenfang.errors import MediaError
from wenfang.models.load import Loaded
from wenfang.seal import Payload, Provenance, SealedFile, Sealer, emit
from wenfang.store import Link, Manifest, Store, home

# What a manifest's facts say that was asked for; `seeds` where several are upon one sheet.
REQUEST = ("prompt", "seed", "seeds", "settings")


@dataclass(frozen=True, kw_only=True, eq=False)
class Asset(ABC):
    """What was made, the manifest that says how, and those of its model.

    made_from  manifests of the bundle and of all that it came from, sources first
    """

    manifest: Manifest
    made_from: tuple[dict[str, Any], ...] = ()

    role: ClassVar[str]  # what a published file calls it
    suffix: ClassVar[str]  # of a file that nobody named
    media_types: ClassVar[Mapping[str, str]]  # of the files that it is saved as, by their suffix

    @property
    @abstractmethod
    def content(self) -> bytes:
        """The bytes that its manifest's hash is of."""

    @abstractmethod
    def payload(self, media_type: str) -> Payload:
        """It as a file of that type, before any label."""

    @abstractmethod
    def record(self) -> dict[str, object]:
        """What a program is told of it, as JSON values."""

    def save(self, path: Path | str, *, private: bool = False) -> SealedFile:
        """Publish it, labelled and signed; the store keeps its payload.

        private  the store keeps nothing, and the manifest does not tell the prompt
        raises   MediaError for a suffix that is none of `media_types`
        """
        path = Path(path)
        media_type = self.media_types.get(path.suffix.lower())
        if media_type is None:
            raise MediaError(
                "{path}: this is saved as one of {suffixes}",
                path=path,
                suffixes=", ".join(self.media_types),
            )
        sealer = Sealer.at(home(), label_settings())
        own = () if private else (Link(role=self.role, id=self.manifest.id),)
        core = Manifest(
            kind="asset",
            name=path.name,
            media_type=media_type,
            inputs=(*self.manifest.inputs, *own),
            facts=self._published_facts(private),
        )
        payload = self.payload(media_type)
        mark = self.manifest.facts.get("watermark")
        provenance = Provenance(manifest=core, watermark=mark if isinstance(mark, dict) else None)
        if private:
            return emit(payload, path, provenance, sealer)
        with Store.open() as store:
            store.adopt(self.made_from)
            store.put(self.content, self.manifest)
            sealed = emit(payload, path, provenance, sealer)
            store.put(payload.content, sealed.manifest)
        return sealed

    def _published_facts(self, private: bool) -> dict[str, Any]:
        """What the published manifest tells: with the request, a replay needs no store."""
        facts = self.manifest.facts
        told: dict[str, Any] = {name: facts[name] for name in ("made_with", "environment")}
        if not private:
            asked = {name: facts[name] for name in REQUEST if name in facts}
            told["request"] = {"model": facts["made_with"], **asked}
        return told


def drawn_manifest(
    loaded: Loaded,
    prompt: str,
    media_type: str,
    content: bytes,
    facts: Mapping[str, object],
    beside: Sequence[Loaded] = (),
) -> Manifest:
    """How one asset came of a bundle and those that it draws with.

    facts  `seed`, `settings` and what else is to be told
    """
    return Manifest(
        kind="asset",
        name=prompt[:40] or loaded.name,
        media_type=media_type,
        payload_sha256=sha256_bytes(content),
        payload_bytes=len(content),
        inputs=tuple(Link(role="bundle", id=one.manifest["id"]) for one in (loaded, *beside)),
        facts={
            "made_with": loaded.name,
            "prompt": prompt,
            **facts,
            "environment": environment(),
        },
    )


def made_manifest(
    name: str, prompt: str, media_type: str, content: bytes, facts: Mapping[str, object]
) -> Manifest:
    """How one asset was made by a program of ours that holds no weights."""
    return Manifest(
        kind="asset",
        name=prompt[:40] or name,
        media_type=media_type,
        payload_sha256=sha256_bytes(content),
        payload_bytes=len(content),
        facts={"made_with": name, "prompt": prompt, **facts, "environment": environment()},
    )


class Maker(ABC):
    """What makes assets of one kind: `.text`, `.image`, `.score` or `.audio` is what was made."""

    name: str

    @property
    def bundle_id(self) -> str:
        """Of the bundle that it draws with; nothing for a program of ours."""
        return ""

    def generate(
        self,
        prompt: str = "",
        *,
        seed: int = 0,
        on_text: OnText | None = None,
        **settings: object,
    ) -> Any:
        """One asset for `prompt`; settings as in `--set`, nested names by dictionaries.

        on_text  is told each piece of a text as it comes
        """
        return self.draw(prompt, (seed,), settings, on_text)[0]

    def generate_many(
        self, prompt: str = "", *, seeds: tuple[int, ...], **settings: object
    ) -> list[Any]:
        """One asset for each seed; each is the same as alone."""
        return list(self.draw(prompt, seeds, settings))

    @abstractmethod
    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> Sequence[Asset]:
        """`generate_many` with settings from outside: ConfigError for one that is none."""


class BundleMaker(Maker):
    """One that draws with a loaded bundle."""

    loaded: Loaded

    @property
    def bundle_id(self) -> str:
        """Of `loaded`."""
        return str(self.loaded.manifest["id"])
