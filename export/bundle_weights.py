"""Read the encoders of a bundle back as torch modules, so that training can go on from them.

A graph holds every weight, but not as the module does. The exporter transposes the weights of
linear layers, whose names are lost; they are found through their bias, which keeps its name. It
folds each batch norm behind a convolution into that convolution. `settle_norms` gives such a norm
the statistics of real inputs and the scale and shift that undo them, so that the module computes
the same in eval mode, and in training mode normalises as it did when it was trained.

What the graph computes outside of the weights (attention heads, mirror average, size of the
picture) is read from its nodes. The result is compared with ONNX Runtime before it is returned.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper
from torch import Tensor, nn

from export.build_bundle import encoder_inputs
from export.parity import Parity, Tensors, check_parity
from export.sample_chips import SampleChip
from model_training.encoder import CompactConfig, Encoder, LiteConfig, build_encoder
from model_training.encoder.loading import LoadedEncoder, LoadedEncoders, join_encoders
from model_training.encoder.train_config import BundleData, EncoderTrainConfig, PairObjective
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import RunConfig
from service.contract.bundle import Bundle
from service.contract.manifest import EncoderRunSpec, Manifest, PreprocessSpec

_COMPUTED = ("positions", "size_features.waves")  # buffers that follow from the config
_STEM = "stem.parts.0."
_FIRST_CONVOLUTIONS = ("network.stem.0.weight", "coarse.0.weight")


class BundleWeightsError(Exception):
    """The bundle's encoder cannot be read back; says why."""


@dataclass(frozen=True, slots=True)
class ReadEncoders:
    """The encoders of a bundle as modules, and how far they differ from its graph."""

    encoders: LoadedEncoders
    parity: Parity

    def save(self, folder: Path) -> list[Path]:
        """Write each encoder as the checkpoint `<name of its run>.pt`; return the paths."""
        paths = []
        for member in self.encoders.members:
            paths.append(folder / f"{member.training.run.out.name}.pt")
            member.checkpoint.save(paths[-1])
        return paths


def read_encoders(bundle: Bundle, chips: Sequence[SampleChip]) -> ReadEncoders:
    """Rebuild the compact and lite encoders of a bundle.

    Args:
        bundle: its encoder is stored in full precision.
        chips: at least eight of both sensors, on which norms settle and parity is measured.

    Raises:
        BundleWeightsError: the encoder is rounded, or is no compact or lite encoder.
        ParityError: the modules compute something else than the graph.
    """
    manifest = bundle.manifest
    spec = manifest.encoder.graph
    if spec.precision != "float32":
        raise BundleWeightsError(
            f"the encoder of {bundle.path} is stored as {spec.precision}: its weights are rounded; "
            "take a bundle of float32"
        )
    path = bundle.file(spec.file)
    graph = _Graph(onnx.load(path).graph)
    prefixes = graph.prefixes()
    if not prefixes:
        raise BundleWeightsError(
            f"{path} holds no compact or lite encoder, the kinds that can be read back"
        )
    members = []
    for number, prefix in enumerate(prefixes):
        member = _Member(graph, prefix)
        config = member.config(manifest)
        module = member.module(config)
        settle_norms(module, member.folded, encoder_inputs(chips, config.preprocess))
        members.append(_as_checkpoint(module, config, bundle, number))
    encoders = join_encoders(members, [f"encoder {number}" for number in range(len(members))])
    tensors = encoder_inputs(chips, manifest.preprocess)
    return ReadEncoders(encoders, check_parity(encoders.module, path, spec, tensors))


@torch.no_grad()
def settle_norms(module: nn.Module, folded: Sequence[str], inputs: Tensors) -> None:
    """Give folded batch norms the statistics of real inputs, without a change in eval mode.

    A folded norm adds a bias b to the output y of its convolution. With mean m and variance v of y,
    the norm `sqrt(v + eps) (y - m) / sqrt(v + eps) + (b + m)` does the same.

    Args:
        module: an encoder in eval mode.
        folded: names of its convolutions whose norm was folded, see `_Member.folded`.
        inputs: the encoder's tensors by name.
    """
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: _statistics(output)})
        )
        for name in folded
    ]
    module(*(torch.from_numpy(inputs[name]) for name in ("pixels", "modality", "size")))
    for hook in hooks:
        hook.remove()
    for name in folded:
        norm = module.get_submodule(_norm_of(name))
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = seen[name]
        norm.running_mean, norm.running_var = mean, variance
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def _statistics(grid: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of `[N, C, h, w]`."""
    values = grid.double().transpose(0, 1).flatten(1)  # [N, C, h, w] -> [C, N h w]
    return values.mean(1).float(), values.var(1).float()


class _Graph:
    """The initialisers and nodes of a graph, by the names of values."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.tensors: dict[str, NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self.maker: dict[str, NodeProto] = {name: n for n in graph.node for name in n.output}
        self.users: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def prefixes(self) -> list[str]:
        """Return the prefix of each encoder's tensors: `members.0.member.`, …; or one empty."""
        found = (re.match(rf"((?:members\.\d+\.)?(?:member\.)?){_STEM}", t) for t in self.tensors)
        prefixes = {match[1] for match in found if match}
        return sorted(prefixes, key=lambda prefix: [int(n) for n in re.findall(r"\d+", prefix)])

    def above(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield the nodes on the way from the graph's inputs to a node."""
        waiting, seen = [node], set()
        while waiting:
            for name in waiting.pop().input:
                maker = self.maker.get(name)
                if maker is not None and maker.output[0] not in seen:
                    seen.add(maker.output[0])
                    waiting.append(maker)
                    yield maker


class _Member:
    """One encoder's part of a graph.

    Attributes:
        folded: names of the convolutions whose batch norm was folded into them.
    """

    def __init__(self, graph: _Graph, prefix: str) -> None:
        self.graph, self.prefix = graph, prefix
        self.own = {
            name.removeprefix(prefix): tensor
            for name, tensor in graph.tensors.items()
            if name.startswith(prefix)
        }
        self.folded: list[str] = []

    def config(self, manifest: Manifest) -> CompactConfig | LiteConfig:
        """Read the encoder's config from shapes and nodes."""
        own = self.own
        first = next(_STEM + name for name in _FIRST_CONVOLUTIONS if _STEM + name in own)
        above = list(self.graph.above(self.graph.users[self.prefix + first][0]))
        blocks = self._count(r"blocks\.(\d+)\.")
        common: dict[str, Any] = {
            "preprocess": _picture(manifest.preprocess, above),
            "grid_width": len(own["shared.0.0.weight"]),
            "grid_blocks": self._count(r"shared\.(\d+)\.") - 1,
            "width": len(own["to_tokens.bias"]),
            "depth": blocks,
            "token_features": len(own["token_head.bias"]),
            "embedding_width": len(own["head.bias"]),
            "mirror_average": any(self._reverses(node) for node in above),
        }
        if blocks:
            common["heads"] = self._heads()
        if first.endswith("network.stem.0.weight"):
            started = any("ImageNet" in what for what in manifest.licences)
            return LiteConfig(kind="lite", pretrained=started, **common)
        widths = (len(own[_STEM + "coarse.0.weight"]), len(own[_STEM + "body.0.0.weight"]))
        return CompactConfig(kind="compact", stem_widths=widths, **common)

    def module(self, config: CompactConfig | LiteConfig) -> Encoder:
        """Build the encoder with the graph's weights; folded norms only add their bias.

        Raises:
            BundleWeightsError: the graph lacks a tensor, has one too many or of another shape.
        """
        module = build_encoder(config).eval()
        state: dict[str, Tensor] = {}
        parts = {name.split(".")[0] for name in module.state_dict()}  # others are constants
        unused = {n for n in self.own if n.split(".")[0] in parts} - set(_COMPUTED)
        for name, value in module.state_dict().items():
            if name in self.own:
                state[name] = torch.from_numpy(self.own[name].copy())
                unused.discard(name)
            elif name.endswith("num_batches_tracked"):
                state[name] = value
            elif value.ndim == 2:
                state[name] = torch.from_numpy(self._transposed(name).T.copy())
            else:
                state[name] = self._of_folded_norm(name, value, module)
        unused -= {f"{name}.weight_bias" for name in self.folded}
        wrong = [n for n, value in module.state_dict().items() if state[n].shape != value.shape]
        if unused or wrong:
            raise BundleWeightsError(
                f"the graph is not that of a {config.kind} encoder: {sorted(unused)[:3]} are left "
                f"over, {wrong[:3]} have another shape"
            )
        module.load_state_dict(state)
        return module

    def _of_folded_norm(self, name: str, value: Tensor, module: nn.Module) -> Tensor:
        """Return a tensor of the norm that does no more than add the folded bias."""
        place, _, tensor = name.rpartition(".")
        convolution = re.sub(r"\d+$", lambda match: str(int(match[0]) - 1), place)
        bias = self.own.get(f"{convolution}.weight_bias")
        norm = module.get_submodule(place)
        if bias is None or not isinstance(norm, nn.BatchNorm2d):
            raise BundleWeightsError(f"the graph has no tensor for {self.prefix}{name}")
        if convolution not in self.folded:
            self.folded.append(convolution)
        match tensor:
            case "bias":
                return torch.from_numpy(bias.copy())
            case "running_mean":
                return torch.zeros_like(value)
            case "running_var":
                return torch.full_like(value, 1 - norm.eps)
        return torch.ones_like(value)

    def _transposed(self, name: str) -> NDArray[Any]:
        """Return the weights `[in, out]` of a linear layer, found through its bias."""
        bias = f"{self.prefix}{name.removesuffix('weight')}bias"
        for node in self.graph.users.get(bias, []):
            for operand in node.input:
                product = self.graph.maker.get(operand)
                if product is not None and product.op_type == "MatMul":
                    return self.graph.tensors[product.input[1]]
        raise BundleWeightsError(f"the graph has no tensor for {self.prefix}{name}")

    def _heads(self) -> int:
        """Read the attention heads from the shape `[N, T, 3, heads, D / heads]` of qkv."""
        added = self.graph.users[f"{self.prefix}blocks.0.attn.qkv.bias"][0]
        reshape = self.graph.users[added.output[0]][0]
        return int(self.graph.tensors[reshape.input[1]][3])

    def _reverses(self, node: NodeProto) -> bool:
        """Whether a node reverses an axis."""
        if node.op_type != "Slice" or len(node.input) < 5:
            return False
        return bool((self.graph.tensors[node.input[4]] < 0).any())

    def _count(self, pattern: str) -> int:
        return len({match[1] for name in self.own if (match := re.match(pattern, name))})


def _norm_of(convolution: str) -> str:
    """Name the norm behind a convolution: `body.0.0` -> `body.0.1`."""
    place, _, number = convolution.rpartition(".")
    return f"{place}.{int(number) + 1}"


def _picture(spec: PreprocessSpec, above: Sequence[NodeProto]) -> PreprocessSpec:
    """Return the preprocessing of a member, whose pictures may be averaged down (`Shrunk`)."""
    pools = [node for node in above if node.op_type == "AveragePool"]
    if not pools:
        return spec
    kernel = next(a.ints for a in pools[0].attribute if a.name == "kernel_shape")
    return spec.model_copy(
        update={"height": spec.height // kernel[0], "width": spec.width // kernel[1]}
    )


def _as_checkpoint(
    module: Encoder, config: CompactConfig | LiteConfig, bundle: Bundle, number: int
) -> LoadedEncoder:
    """Return an encoder as if it were read from the checkpoint of its run."""
    training = bundle.manifest.training
    run = EncoderRunSpec(
        run=f"encoder-{number}",
        steps=0,
        seed=0,
        dataset=", ".join(training.datasets),
        data_digest="unknown",
    )
    if training.encoders:
        run = training.encoders[number]
    described = EncoderTrainConfig(
        run=RunConfig(out=Path(run.run), steps=max(1, run.steps), seed=run.seed),
        encoder=config,
        data=BundleData(
            kind="bundle", bundle_id=bundle.bundle_id, domain=training.domain, dataset=run.dataset
        ),
        objective=PairObjective(kind="pairs"),
    )
    weights = {f"encoder.{name}": value for name, value in module.state_dict().items()}
    checkpoint = Checkpoint(
        config=described.model_dump(mode="json"),
        data_digest=run.data_digest,
        commit=run.commit,
        step=run.steps,
        model=weights,
        ema=weights,
    )
    return LoadedEncoder(module, config, described, checkpoint)
