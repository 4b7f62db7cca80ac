"""Starting weights: published TransOSS, MOS and ImageNet files are taken, others refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model_training.encoder import (
    CompactConfig,
    Encoder,
    ReferenceConfig,
    ReferenceEncoder,
    build_encoder,
)
from model_training.encoder.blocks import Block
from model_training.encoder.loading import EncoderLoadError
from model_training.encoder.published import load_initial_weights, origin_of
from service.contract.manifest import PreprocessSpec

WIDTH, DEPTH, PATCH = 16, 2, 8
SPEC = PreprocessSpec(height=64, width=32)  # a grid of 8 x 4 patches


class Trained(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder


def reference(**options: Any) -> ReferenceEncoder:
    config = {"preprocess": SPEC, "patch": PATCH, "width": WIDTH, "depth": DEPTH, "heads": 2}
    return ReferenceEncoder(ReferenceConfig(kind="reference", **{**config, **options}))


def vit(positions: int, head: int = 1000) -> dict[str, Tensor]:
    """Draw weights with timm's key names of a ViT, as `vit_base_patch16_224` has them."""
    torch.manual_seed(8)
    state = {
        "cls_token": torch.randn(1, 1, WIDTH),
        "pos_embed": torch.randn(1, 1 + positions, WIDTH),
        "patch_embed.proj.weight": torch.randn(WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": torch.randn(WIDTH),
        "norm.weight": torch.randn(WIDTH),
        "norm.bias": torch.randn(WIDTH),
        "head.weight": torch.randn(head, WIDTH),
        "head.bias": torch.randn(head),
    }
    for block in range(DEPTH):
        for layer, rows, columns in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):
            state[f"blocks.{block}.{layer}.weight"] = torch.randn(rows, columns)
            state[f"blocks.{block}.{layer}.bias"] = torch.randn(rows)
        for norm in ("norm1", "norm2"):
            state[f"blocks.{block}.{norm}.weight"] = torch.randn(WIDTH)
            state[f"blocks.{block}.{norm}.bias"] = torch.randn(WIDTH)
    return state


def transoss(positions: int = 32, *, trained_on_ships: bool = False) -> dict[str, Tensor]:
    """Draw weights with the authors' key names: as `vit_b512_pre.pth`, or as trained on HOSS."""
    state = {k: v for k, v in vit(positions).items() if not k.startswith("head.")}
    state["mie_embed"] = torch.randn(2, 1, WIDTH)
    state["patch_embed_SAR.proj.weight"] = torch.randn(WIDTH, 3, PATCH, PATCH)
    state["patch_embed_SAR.proj.bias"] = torch.randn(WIDTH)
    if not trained_on_ships:
        return {**state, "fc.weight": torch.randn(1000, WIDTH), "fc.bias": torch.randn(1000)}
    state["wh_embed.linear_layer.weight"] = torch.randn(WIDTH, 3)
    state["wh_embed.linear_layer.bias"] = torch.randn(WIDTH)
    head = {"classifier.weight": torch.randn(361, WIDTH), "bottleneck.bias": torch.randn(WIDTH)}
    return {f"module.base.{name}": value for name, value in state.items()} | {
        f"module.{name}": value for name, value in head.items()
    }


def saved(content: Any, folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path)
    return path


def started(encoder: Encoder, content: Any, folder: Path) -> dict[str, Tensor]:
    load_initial_weights(Trained(encoder), saved(content, folder))
    return encoder.state_dict()


def test_weights_pretrained_on_pairs_leave_the_size_token_as_it_was(tmp_path: Path) -> None:
    encoder, published = reference(), transoss()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    after = started(encoder, published, tmp_path)
    assert torch.equal(after["size_embed.weight"], before["size_embed.weight"])
    assert torch.equal(after["modality_embed"], published["mie_embed"])
    sar = "patch_embed_sar.proj.weight"
    assert torch.equal(after[sar], published["patch_embed_SAR.proj.weight"])
    assert torch.equal(after["pos_embed"], published["pos_embed"])
    for name in ("cls_token", "blocks.1.mlp.fc2.weight", "norm.bias", "patch_embed.proj.bias"):
        assert torch.equal(after[name], published[name]), name
    assert origin_of(tmp_path / "weights.pth") == "transoss"


def test_weights_of_mos_are_taken_with_the_size_token(tmp_path: Path) -> None:
    published = transoss(trained_on_ships=True)
    after = started(reference(), published, tmp_path)
    stored = published["module.base.wh_embed.linear_layer.weight"]
    assert torch.equal(after["size_embed.weight"], stored)
    assert set(after) == set(reference().state_dict())
    after = started(reference(size_token=False), published, tmp_path)
    assert torch.equal(after["cls_token"], published["module.base.cls_token"])


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_imagenet_weights_start_both_patch_embeddings(wrapper: str | None, tmp_path: Path) -> None:
    published = vit(49)
    content = {wrapper: published} if wrapper else published
    after = started(reference(), content, tmp_path)
    for sensor in ("patch_embed", "patch_embed_sar"):
        for part in ("weight", "bias"):
            stored = published[f"patch_embed.proj.{part}"]
            assert torch.equal(after[f"{sensor}.proj.{part}"], stored)
    assert torch.equal(after["blocks.0.attn.qkv.weight"], published["blocks.0.attn.qkv.weight"])
    assert origin_of(tmp_path / "weights.pth") == "imagenet"


@pytest.mark.parametrize("weights", [vit(49), transoss(72)], ids=["7 x 7", "12 x 6"])
def test_positions_are_interpolated_to_the_grid_of_the_encoder(
    weights: dict[str, Tensor], tmp_path: Path
) -> None:
    rows, columns = {50: (7, 7), 73: (12, 6)}[weights["pos_embed"].shape[1]]
    # a plane that rises by 10 a picture's height and 1 a picture's width
    down = 10 * (torch.arange(rows) + 0.5) / rows
    across = (torch.arange(columns) + 0.5) / columns
    plane = (down[:, None] + across).reshape(1, -1, 1).expand(1, -1, WIDTH)
    cls = weights["pos_embed"][:, :1]
    weights = weights | {"pos_embed": torch.cat([cls, plane], 1)}
    after = started(reference(), weights, tmp_path)["pos_embed"]
    assert torch.equal(after[:, :1], cls)
    grid = after[0, 1:, 0].reshape(8, 4)
    expected = 10 * (torch.arange(8) + 0.5)[:, None] / 8 + (torch.arange(4) + 0.5) / 4
    inner = (slice(1, -1), slice(1, -1))  # at the border, interpolation repeats the last value
    assert torch.allclose(grid[inner], expected[inner], atol=1e-4)


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in transoss().items() if key != name}


REFUSED: dict[str, tuple[Any, str]] = {
    "another network": ({"conv1.weight": torch.zeros(1)}, r"holds conv1\.weight.*expected a check"),
    "no tensors": ({"epoch": 3}, r"holds epoch.*vit_base_patch16_224"),
    "a list": ([torch.zeros(1)], "expected a checkpoint of an encoder run"),
    "missing": (without("blocks.1.norm2.bias"), r"blocks\.1\.norm2\.bias is missing"),
    "distilled": (vit(49) | {"dist_token": torch.zeros(1)}, "dist_token is unknown"),
    "deeper": (vit(49) | {"blocks.2.norm1.bias": torch.zeros(1)}, r"blocks\.2\.norm1\.bias is unk"),
    "wider": (vit(49) | {"norm.bias": torch.zeros(24)}, r"norm\.bias has the shape \[24\], not"),
    "no grid": (vit(50), "50 position embeddings make no square grid"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_other_files_are_refused_in_one_line(content: Any, reason: str, tmp_path: Path) -> None:
    encoder = reference()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(EncoderLoadError, match=reason) as raised:
        started(encoder, content, tmp_path)
    assert "\n" not in str(raised.value)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_files_that_torch_cannot_read_are_refused_in_one_line(tmp_path: Path) -> None:
    model = Trained(reference())
    (tmp_path / "note.pth").write_bytes(b"no tensors")
    (tmp_path / "vit.safetensors").write_bytes(b"")
    for name, reason in (
        ("note.pth", "is not a PyTorch file of tensors; expected"),
        ("vit.safetensors", r"save the tensors as \.pth"),
        ("none.pth", "there is no file of initial weights"),
    ):
        with pytest.raises(EncoderLoadError, match=reason):
            load_initial_weights(model, tmp_path / name)


def test_published_weights_do_not_start_another_kind_of_encoder(tmp_path: Path) -> None:
    compact = build_encoder(CompactConfig(kind="compact"))
    with pytest.raises(EncoderLoadError, match="kind: reference"):
        started(compact, transoss(), tmp_path)


def test_stochastic_depth_rises_linearly_and_is_off_outside_training() -> None:
    encoder = reference(depth=3, drop_path=0.4)
    assert [block.drop_path for block in encoder.blocks] == pytest.approx([0.0, 0.2, 0.4])
    plain = reference(depth=3)
    plain.load_state_dict(encoder.state_dict())
    inputs = (torch.randn(64, 3, 64, 32), torch.zeros(64, dtype=torch.int64), torch.randn(64, 3))
    with torch.no_grad():
        assert torch.equal(encoder.eval()(*inputs), plain.eval()(*inputs))
        encoder.train()
        assert not torch.equal(encoder(*inputs), encoder(*inputs))


def test_a_block_leaves_out_whole_branches_of_rows_and_keeps_the_expected_sum() -> None:
    block = Block(WIDTH, 2, drop_path=0.25)
    kept = block.train()._kept(torch.ones(20_000, 2, 3))
    assert sorted(set(kept.flatten().tolist())) == pytest.approx([0.0, 1 / 0.75])
    assert torch.equal(kept, kept[:, :1, :1].expand_as(kept))
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)
