"""A net that a user brings to measure pictures with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import Call
from tiny_pictures import dataset, recipe
from wenfang.atomic import write_json
from wenfang.errors import BundleError
from wenfang.metrics.foreign_eye import ForeignEye
from wenfang.recipes.train import TrainRequest, train


def net(path: Path, shape: tuple[Any, ...] = ("N", 3, 16, 16), op: str = "Identity") -> Path:
    """An ONNX file whose output is its input, or another plain function of it."""
    kind = TensorProto.FLOAT
    given = helper.make_tensor_value_info("pictures", kind, list(shape))
    found = helper.make_tensor_value_info("features", kind, None)
    node = helper.make_node(op, ["pictures"], ["features"])
    graph = helper.make_graph([node], "eye", [given], [found])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


def test_maps_are_averaged_and_levels_scaled(tmp_path: Path) -> None:
    path = net(tmp_path / "eye.onnx")
    values = np.zeros((40, 3, 8, 8), np.uint8)
    values[:, 0] = 255
    for levels, expected in (("signed", (1, -1)), ("unit", (1, 0)), ("bytes", (255, 0))):
        eye = ForeignEye.open(path, levels)  # type: ignore[arg-type]
        features = eye.features(values)
        assert features.shape == (40, 3)
        assert features[0].tolist() == pytest.approx([expected[0], expected[1], expected[1]])
    assert eye.name.startswith("eye@")
    grey = eye.features(np.full((2, 1, 8, 8), 7, np.uint8))
    assert grey[0].tolist() == pytest.approx([7, 7, 7])


def test_a_net_that_leaves_its_size_open_reads_299(tmp_path: Path) -> None:
    assert ForeignEye.open(net(tmp_path / "a.onnx", ("N", 3, "H", "W"))).side_px == 299


def test_what_is_no_eye_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not there"):
        ForeignEye.open(tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no net")
    with pytest.raises(BundleError, match="no readable ONNX file"):
        ForeignEye.open(broken)
    with pytest.raises(BundleError, match="reads one batch of pictures"):
        ForeignEye.open(net(tmp_path / "flat.onnx", ("N", 12)))
    five = ForeignEye.open(net(tmp_path / "five.onnx", ("N", 5, 16, 16)))
    with pytest.raises(BundleError, match="cannot read pictures of 16 x 16"):
        five.features(np.zeros((1, 3, 8, 8), np.uint8))


@pytest.mark.parametrize("name", ["digits-gan", "digits-vae"])
def test_a_maker_is_measured_by_it(tmp_path: Path, call: Call, name: str) -> None:
    data = dataset(tmp_path / "set")
    write_json(tmp_path / "asked.json", recipe(name).to_dict())
    request = TrainRequest(
        recipe=str(tmp_path / "asked.json"),
        run=tmp_path / "run",
        data=data.folder,
        measured=False,
    )
    bundle = train(request)
    eye = net(tmp_path / "eye.onnx")
    told = call(
        "evaluate", bundle, "--data", data.folder, "--json",
        "--set", f"eye={eye}", "--set", "pictures=20",
    )  # fmt: skip
    assert told.code == 0, told.err
    numbers = told.json
    own = numbers["eye"]
    assert own.startswith("eye@")
    assert numbers["made"] == 20
    for kind in ("FD", "KD"):
        near, far = numbers[f"{kind}_of_held_out[{own}]"], numbers[f"{kind}_of_noise[{own}]"]
        assert near < far
        assert f"{kind}[{own}]" in numbers
    assert "FID" not in " ".join(numbers)
