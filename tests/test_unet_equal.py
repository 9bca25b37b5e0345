"""The U-Net and diffusers' UNet2DModel with equal weights say the same."""

from __future__ import annotations

import pytest
import torch

from wenfang.models import unet

diffusers = pytest.importorskip("diffusers")


@pytest.mark.filterwarnings("ignore")  # of diffusers, about itself
@pytest.mark.parametrize("scale_shift", [True, False])
@torch.no_grad()
def test_equal_weights_give_equal_pictures(scale_shift: bool) -> None:
    config = unet.Config(
        channels=(16, 32, 48), attention=(False, True, True), head_width=8, groups=8, classes=5,
        scale_shift=scale_shift, time_scale=1.0,
    )  # fmt: skip
    model = unet.UNet(config)
    draw = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.1, generator=draw)
    other = diffusers.UNet2DModel(
        block_out_channels=config.channels,
        layers_per_block=config.blocks,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=config.head_width,
        norm_num_groups=config.groups,
        attn_norm_num_groups=config.groups,
        resnet_time_scale_shift="scale_shift" if scale_shift else "default",
        num_class_embeds=config.classes + 1,
    )
    other.load_state_dict(model.state_dict())
    x, time = torch.randn(2, 3, 16, 16, generator=draw), torch.tensor([0.3, 7.0])
    classes = torch.tensor([1, 4])
    found, expected = model(x, time, classes), other(x, time, class_labels=classes).sample
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
