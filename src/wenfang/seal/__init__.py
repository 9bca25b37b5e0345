"""The seal: visible label, metadata label, credential and signed manifest on published files."""

from wenfang.seal.formats import FORMATS
from wenfang.seal.identity import Identity, own_roots
from wenfang.seal.label import LabelSettings
from wenfang.seal.layers import EXIT_CODES, LAYERS, Answer, Layer, Verdict, worst
from wenfang.seal.payload import Origin, Payload, Provenance
from wenfang.seal.reader import verify
from wenfang.seal.statement import sealed_id
from wenfang.seal.writer import SealedFile, Sealer, emit

__all__ = [
    "EXIT_CODES",
    "FORMATS",
    "LAYERS",
    "Answer",
    "Identity",
    "LabelSettings",
    "Layer",
    "Origin",
    "Payload",
    "Provenance",
    "SealedFile",
    "Sealer",
    "Verdict",
    "emit",
    "own_roots",
    "sealed_id",
    "verify",
    "worst",
]
