"""The network is MONAI's UNet, without MONAI."""

import subprocess
import sys

import pytest
import torch
from fibrovol.models.network import build_network


@pytest.mark.xdist_group("monai")
def test_it_gives_what_monai_gives_with_the_same_weights():
    from monai.networks.nets import UNet

    theirs = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=4,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
        norm=("instance", {"affine": True}),
        act=("leakyrelu", {"negative_slope": 0.01, "inplace": True}),
    )
    ours = build_network()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    image = torch.rand(1, 1, 48, 32, 48, generator=torch.Generator().manual_seed(0))
    expected = theirs.eval()(image).detach()
    assert torch.allclose(ours.eval()(image).detach(), expected, atol=1e-5)
    # without gradients oneDNN adds up in another order
    with torch.inference_mode():
        assert torch.allclose(ours(image).softmax(1), expected.softmax(1), atol=1e-5)


def test_the_engine_does_not_import_monai():
    """It takes seconds of every process that measures a scan."""
    code = "import sys, fibrovol.imaging.engines.liver_net; print('monai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
