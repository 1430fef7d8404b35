"""The fused path against the plain network."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from scaae_nipype.model import PRESETS
from scaae_nipype.model.extraction.fused import (
    FusedAttentionPath,
    _convolve_apart,
    _convolve_gelu,
    fold,
    with_fused_blocks,
)
from scaae_nipype.model.network.attention import AttentionPath, ParallelBlock
from scaae_nipype.model.network.reading import combine
from scaae_nipype.model.weights import new_network


@given(inputs=st.integers(1, 4), outputs=st.integers(1, 4), residual=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_folding_a_block_is_exact(randomised, inputs, outputs, residual, seed):
    torch.manual_seed(seed)
    outputs = inputs if residual else outputs
    block = randomised(ParallelBlock(inputs, outputs, residual=residual)).double()
    x = torch.randn(2, inputs, 6, 7, 5, dtype=torch.float64)
    kernel, bias = fold(block)
    fused = torch.nn.functional.gelu(torch.nn.functional.conv3d(x, kernel, bias, padding=2))
    torch.testing.assert_close(fused, block(x), atol=1e-12, rtol=0)


def test_fused_path_is_exact_in_double_precision_on_the_box_of_the_brain(grid, randomised):
    network = randomised(new_network(PRESETS["tiny"], grid, seed=3)).double()
    volumes = torch.randn(2, 1, *grid.box_shape, dtype=torch.float64)
    with torch.inference_mode():
        plain = network.attention(volumes)
        fused = FusedAttentionPath(network.attention, dtype=torch.float64)(volumes)
    for a, b in zip(plain, fused, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=0)


def test_fused_blocks_of_a_copy_are_exact_and_leave_the_network_alone(grid, randomised):
    network = randomised(new_network(PRESETS["tiny"], grid, seed=3)).double()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fused = with_fused_blocks(network)
    x = torch.randn(2, network.encoder.patches.out_channels, 8, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(fused.encoder.blocks(x), network.encoder.blocks(x), atol=1e-9, rtol=0)
    assert not any(isinstance(module, ParallelBlock) for module in fused.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolution_and_gelu_in_one_pass_are_the_exact_gelu(dtype):
    """Of the erf kind, as the network is defined: the tanh approximation would be off by up to 5e-4."""
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6, 7, 5).to(dtype)
    kernel, bias = torch.eye(8).reshape(8, 8, 1, 1, 1).to(dtype), torch.zeros(8, dtype=dtype)
    exact = torch.nn.functional.gelu(x.double())
    tolerance = {torch.float32: 1e-6, torch.bfloat16: 2**-8}[dtype]
    torch.testing.assert_close(_convolve_gelu(x, kernel, bias, 1).double(), exact, atol=1e-6, rtol=tolerance)


def test_published_widths_are_exact_too_and_bf16_agrees(randomised):
    torch.manual_seed(0)
    path = randomised(AttentionPath(PRESETS["autoencoder"]))
    volumes = torch.randn(1, 1, 14, 15, 16)
    with torch.inference_mode():
        double = path.double()
        plain = double(volumes.double())
        exact = FusedAttentionPath(double, dtype=torch.float64)(volumes.double())
        torch.testing.assert_close(plain.logits, exact.logits, atol=1e-9, rtol=0)
        maps = {
            dtype: combine(*FusedAttentionPath(path.float(), dtype=dtype)(volumes)[:2]).float().numpy()
            for dtype in (torch.float32, torch.bfloat16)
        }
    for full, half in zip(maps[torch.float32][0], maps[torch.bfloat16][0], strict=True):
        assert np.corrcoef(full.ravel(), half.ravel())[0, 1] >= 0.999


@pytest.mark.parametrize("preset", ["tiny", "autoencoder"])
def test_bf16_gradients_agree_with_fp32_ones(preset, grid):
    """A kernel wider than its field has a random bf16 gradient on CPU (PyTorch 2.13): such layers stay in fp32."""
    volumes = torch.randn(1, 1, *grid.box_shape, generator=torch.Generator().manual_seed(0))
    gradients = []
    for bf16 in (False, True):
        network = new_network(PRESETS[preset], grid, seed=0).to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            result = network(volumes.contiguous(memory_format=torch.channels_last_3d)).volumes
        (result.float() - volumes).square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in network.named_parameters()})
    largest = max(float(gradient.norm()) for gradient in gradients[0].values())
    for name, full in gradients[0].items():
        if float(full.norm()) > 1e-4 * largest:  # biases before a batch norm have none
            similarity = torch.nn.functional.cosine_similarity(full.flatten(), gradients[1][name].flatten(), dim=0)
            assert similarity > 0.95, name
        else:
            assert float(gradients[1][name].norm()) < 1e-2 * largest, name


@pytest.mark.parametrize("width", [1, 3])
def test_groups_one_after_the_other_are_what_groups_at_once_are(width):
    random = torch.Generator().manual_seed(0)
    x, kernel, bias = (
        torch.randn(size, generator=random, dtype=torch.float64)
        for size in ((2, 8, 5, 6, 7), (4, 4, width, width, width), (4,))
    )
    at_once = functional.conv3d(x, kernel, bias, padding=width // 2, groups=2)
    torch.testing.assert_close(_convolve_apart(x, kernel, bias, 2), at_once)
