"""An eye that a user brings: features of pictures by any net in an ONNX file.

Frechet distances are compared the world over in the features of one Inception net, whose weights
are nobody's here to hand out. Who has them as ONNX may measure with them; the distance then carries
that file's name and hash, and only its owner knows whether it may be called FID.

N pictures, C channels, S side in pixels, F features
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from wenfang.atomic import sha256_file
from wenfang.errors import BundleError, DependencyError
from wenfang.metrics.fidelity import Features

ROWS = 32
MOST_SIDE_PX = 1024
Levels = Literal["unit", "signed", "bytes"]
SCALES: dict[str, tuple[float, float]] = {"unit": (255, 0), "signed": (127.5, 1), "bytes": (1, 0)}


@dataclass(frozen=True)
class ForeignEye:
    """A net with one input (N, 3, S, S) float32 and features (N, F), or maps (N, F, h, w) that are
    averaged, as its first output.

    levels  what the net reads black and white as: "unit" 0 and 1, "signed" -1 and 1, "bytes" 0 and
            255
    """

    path: Path
    session: Any
    side_px: int
    levels: Levels

    @classmethod
    def open(cls, path: Path, levels: Levels = "signed", side_px: int = 299) -> ForeignEye:
        """Read the file; `side_px` is for nets that leave their size open.

        raises BundleError for what is no such net, DependencyError without onnxruntime
        """
        try:
            import onnxruntime
        except ImportError:
            raise DependencyError(
                "onnxruntime is not installed; pip install 'wenfang[eyes]'"
            ) from None
        if not path.is_file():
            raise BundleError("{path} is not there; name an ONNX file", path=path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as reason:  # noqa: BLE001 - its errors have no common class
            first = str(reason).splitlines()[0]
            raise BundleError(
                "{path} is no readable ONNX file ({reason})", path=path, reason=first
            ) from None
        shape = session.get_inputs()[0].shape
        side = shape[-1] if isinstance(shape[-1], int) else side_px
        whole = len(session.get_inputs()) == 1 and len(shape) == 4
        if not whole or not 1 <= side <= MOST_SIDE_PX:
            raise BundleError(
                "{path} reads {shape}; an eye reads one batch of pictures (N, 3, S, S)",
                path=path,
                shape=str(shape),
            )
        return cls(path=path, session=session, side_px=side, levels=levels)

    @property
    def name(self) -> str:
        """Of the file, and the beginning of its hash."""
        return f"{self.path.stem}@{sha256_file(self.path)[:8]}"

    def features(self, values: NDArray[np.uint8]) -> Features:
        """values (N, C, S, S), grey or RGB -> (N, F) float64.

        raises BundleError where the net cannot read them
        """
        by, less = SCALES[self.levels]
        inputs = self.session.get_inputs()[0].name
        found = []
        for start in range(0, len(values), ROWS):
            part = torch.from_numpy(values[start : start + ROWS]).float()
            part = part.expand(-1, 3, -1, -1) if part.shape[1] == 1 else part[:, :3]
            size = (self.side_px, self.side_px)
            read = functional.interpolate(part, size, mode="bilinear", antialias=True) / by - less
            try:
                out = self.session.run(None, {inputs: read.contiguous().numpy()})[0]
            except Exception as reason:  # noqa: BLE001 - its errors have no common class
                first = str(reason).splitlines()[0]
                raise BundleError(
                    "{path} cannot read pictures of {side} x {side} ({reason})",
                    path=self.path,
                    side=self.side_px,
                    reason=first,
                ) from None
            rows = np.asarray(out, np.float64)
            found.append(rows.mean((2, 3)) if rows.ndim == 4 else rows.reshape(len(rows), -1))
        return np.concatenate(found)
