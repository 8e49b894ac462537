"""Linear layers of eight bits: a hop of a stream is so few tokens that a processor spends its time
fetching the weights, which are a quarter of the size so."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

_LARGEST = 127
_SMALLEST = 1e-9  # scale of a row of zeros, times `_LARGEST`


class Int8Linear(nn.Module):
    """A frozen `nn.Linear` on the processor with eight bits a weight.

    Each row of the weights has a scale of its own; the input gets one when it comes (dynamic
    quantisation, as `torch.ao.quantization.quantize_dynamic` does it).
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp(min=_SMALLEST) / _LARGEST
        with warnings.catch_warnings():  # PyTorch means to offer this in a package of its own
            warnings.simplefilter("ignore", UserWarning)
            rows = torch.quantize_per_channel(
                weight, scales.double(), torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8
            )
        bias = None if linear.bias is None else linear.bias.detach().float()
        self._packed = torch.ops.quantized.linear_prepack(rows, bias)
        # Of the input's eight bits seven: x86 without VNNI adds two products up in 16 bits.
        self._seven = torch.backends.quantized.engine != "qnnpack"

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, self._seven)
        return answer


def to_int8(network: nn.Module) -> None:
    """Replace each `nn.Linear` of a network on the processor; not where PyTorch was built without
    an engine for that."""
    if torch.backends.quantized.engine == "none":
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
