"""What the processor can do by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")


def multiplies_bfloat16() -> bool:
    """Whether products in bfloat16 are faster than in float32.

    Torch has them on any processor with AVX-512, but where the processor has no such instruction
    they take twice as long.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    asked: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = asked()  # none before Torch 2.6
    return any(capabilities.get(name, False) for name in _BFLOAT16)
