"""Both encoders: shapes, selection by sensor, positions, tracing for any batch size."""

import pytest
import torch
from torch import Tensor

from model_training.encoder import (
    CompactConfig,
    Encoder,
    LiteConfig,
    ReferenceConfig,
    ReferenceEncoder,
    build_encoder,
)
from model_training.encoder.compact import sincos_positions
from service.contract.manifest import PreprocessSpec

SMALL = PreprocessSpec(height=64, width=32, sar_exponent=0.7, normalisation="per_chip")
CONFIGS: dict[str, ReferenceConfig | CompactConfig | LiteConfig] = {
    "reference": ReferenceConfig(
        kind="reference", preprocess=SMALL, patch=16, width=32, depth=2, heads=4
    ),
    "compact": CompactConfig(
        kind="compact", preprocess=SMALL, stem_widths=(8, 8), grid_width=16, width=32, heads=2
    ),
    "lite": LiteConfig(kind="lite", preprocess=SMALL, grid_width=16, width=32, heads=2),
}


def encoder(name: str) -> Encoder:
    """Build an encoder whose weights and batch statistics differ between the sensors."""
    torch.manual_seed(1)
    module = build_encoder(CONFIGS[name])
    for _ in range(3):
        module(*chips(16))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval()


def chips(count: int, seed: int = 0, height: int = 64, width: int = 32) -> tuple[Tensor, ...]:
    drawn = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, 3, height, width, generator=drawn),
        torch.arange(count) % 2,
        torch.randn(count, 3, generator=drawn),
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_a_chip_has_the_same_embedding_alone_and_in_a_mixed_batch(name: str) -> None:
    module = encoder(name)
    pixels, modality, size = chips(6)
    together = module(pixels, modality, size)
    assert together.shape == (6, CONFIGS[name].embedding_width)
    for row in range(6):
        one = slice(row, row + 1)
        alone = module(pixels[one], modality[one], size[one])
        assert torch.allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_embedding_depends_on_pixels_sensor_and_size(name: str) -> None:
    module = encoder(name)
    pixels, modality, size = chips(2)
    plain = module(pixels, modality, size)
    for changed in [
        (pixels + 0.5 * pixels.roll(9, 2), modality, size),
        (pixels, 1 - modality, size),
    ]:
        assert not torch.allclose(module(*changed), plain, atol=1e-3)
    assert not torch.allclose(module(pixels, modality, size + 3), plain, atol=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_traced_graph_equals_the_module_for_any_batch(name: str) -> None:
    module = encoder(name)
    batch = torch.export.Dim("n", min=1, max=512)
    program = torch.export.export(module, chips(2), dynamic_shapes=({0: batch},) * 3)
    for count in (4, 7):  # the program, unlike its graph, needs two chips of each sensor
        inputs = chips(count, seed=count)
        assert torch.allclose(program.module()(*inputs), module(*inputs), atol=1e-5)


def test_training_and_serving_select_the_same_module_for_each_row() -> None:
    module = encoder("compact")
    pixels, modality, size = chips(7)
    expected = module(pixels, modality, size)
    module.train()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            part.eval()
    assert torch.allclose(module(pixels, modality, size), expected, atol=1e-5)
    one_sensor = module(pixels[::2], modality[::2], size[::2])
    assert torch.allclose(one_sensor, expected[::2], atol=1e-5)


def test_mirror_average_gives_a_chip_and_its_mirror_image_one_embedding() -> None:
    module = encoder("compact")
    pixels, modality, size = chips(3)
    parts = [module(view, modality, size) for view in (pixels, pixels.flip(3))]
    module.config = CONFIGS["compact"].model_copy(update={"mirror_average": True})
    both = module(pixels, modality, size)
    expected = torch.stack([torch.nn.functional.normalize(part) for part in parts]).mean(0)
    assert torch.allclose(both, expected, atol=1e-6)
    assert torch.allclose(both, module(pixels.flip(3), modality, size), atol=1e-5)


def test_the_embedding_depends_on_the_position_of_a_structure_along_the_hull() -> None:
    module = encoder("compact")
    flat = torch.zeros(1, 3, 64, 32)
    bow, stern = flat.clone(), flat.clone()
    bow[:, :, 8:16] = 2.0
    stern[:, :, 40:48] = 2.0
    modality, size = torch.zeros(1, dtype=torch.long), torch.zeros(1, 3)
    assert not torch.allclose(module(bow, modality, size), module(stern, modality, size), atol=1e-2)


def test_the_reference_encoder_follows_the_published_sequence() -> None:
    """cls and patches + positions + 3 x modality embedding, then the size token; cls is output."""
    module = encoder("reference")
    assert isinstance(module, ReferenceEncoder)
    assert module.size_embed is not None
    pixels, modality, size = chips(2)
    rows = []
    for row in range(2):
        patch = module.patch_embed_sar if modality[row] else module.patch_embed
        tokens = patch.proj(pixels[row : row + 1]).flatten(2).transpose(1, 2)
        tokens = torch.cat([module.cls_token, tokens], 1) + module.pos_embed
        tokens = tokens + 3.0 * module.modality_embed[modality[row]]
        rows.append(torch.cat([tokens, module.size_embed(size[row])[None, None]], 1))
    sequence = torch.cat(rows)
    for block in module.blocks:
        sequence = block(sequence)
    assert torch.allclose(module(pixels, modality, size), module.norm(sequence)[:, 0], atol=1e-6)


def test_the_reference_encoder_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        module = build_encoder(ReferenceConfig(kind="reference"))
    assert module.pos_embed.shape == (1, 129, 768)
    # ViT-B: 12 blocks of 7,087,872, two patch embeddings, positions, cls, MIE, SSE, final norm
    expected = 12 * 7_087_872 + 2 * 590_592 + 129 * 768 + 768 + 2 * 768 + 4 * 768 + 2 * 768
    assert sum(parameter.numel() for parameter in module.parameters()) == expected


def test_pictures_that_do_not_divide_into_patches_are_refused() -> None:
    odd = PreprocessSpec(height=100, width=32)
    for config in (
        ReferenceConfig(kind="reference", preprocess=odd),
        CompactConfig(kind="compact", preprocess=odd),
    ):
        with pytest.raises(ValueError, match="does not divide"):
            build_encoder(config)


def test_all_position_codes_differ() -> None:
    codes = sincos_positions((16, 4), 128)[0]
    distances = torch.cdist(codes, codes) + 10 * torch.eye(64)
    assert codes.shape == (64, 128)
    assert distances.min() > 0.3
