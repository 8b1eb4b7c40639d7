"""How much flash and RAM an exported network takes, as its header says and its limits are for.

What is stored is counted exactly, as it lies on a processor of 32 bits. The code and the stack are
upper bounds for a Cortex-M0, compiled with ``-Os``, which ``make embedded`` holds against the
compiler.
"""

from __future__ import annotations

from typing import NamedTuple

from chiffres.errors import UsageError
from chiffres.export.c import memory, pack
from chiffres.export.c.network import Convolution, Network, Pooling, Scaling

POINTER = 4
RESULT = 44
"""Bytes of a ``chiffres_result``."""
SPARE = 3
"""Bytes after the memory that the last word of a dense layer's weights reads, times 0."""


class Features(NamedTuple):
    """Which parts of the code a network needs.

    Attributes:
        gathers: convolutions with more than one window.
        padded: convolutions of inputs with something around them.
        pools: convolutions of which the largest of each pool is kept.
        mixed: weights of four bits and of eight.
        bits: of the weights, where they are not mixed.
        wide: biases that do not fit 16 bits.
        factors: factors other than 1.
        pooling: poolings of their own.
        scaling: normalizations of their own.
    """

    gathers: bool
    padded: bool
    pools: bool
    mixed: bool
    bits: int
    wide: bool
    factors: bool
    pooling: bool
    scaling: bool

    @property
    def four(self) -> bool:
        """Whether there are weights of four bits."""
        return self.mixed or self.bits == 4


class Sizes(NamedTuple):
    """Bytes.

    Attributes:
        data: of flash, for constants.
        code: of flash, for code, at most.
        memory: of RAM, for static buffers.
        stack: of RAM, for the stack, at most.
        result: of RAM, for what the caller gets.
    """

    data: int
    code: int
    memory: int
    stack: int
    result: int = RESULT

    @property
    def flash(self) -> int:
        """All of the flash."""
        return self.data + self.code

    @property
    def ram(self) -> int:
        """All of the RAM but for the caller's image and result."""
        return self.memory + self.stack


def features(network: Network) -> Features:
    """Return which parts of the code the network needs."""
    convolutions = network.convolutions
    gathered = [layer for layer in convolutions if not layer.is_whole]
    bits = {layer.bits for layer in convolutions}
    return Features(
        gathers=bool(gathered),
        padded=any(max(layer.window.pads) > 0 for layer in gathered),
        pools=any(layer.pool != (1, 1) for layer in gathered),
        mixed=len(bits) > 1,
        bits=max(bits),
        wide=any(abs(int(value)) >= 2**15 for layer in convolutions for value in layer.bias),
        factors=any((layer.factor != 1).any() for layer in convolutions),
        pooling=any(isinstance(layer, Pooling) for layer in network.layers),
        scaling=any(isinstance(layer, Scaling) for layer in network.layers),
    )


CODE = {
    "all": 590,
    "gathers": 130,
    "pools": 80,
    "padded": 110,
    "four": 100,
    "mixed": 40,
    "factors": 20,
    "pooling": 130,
    "scaling": 110,
}
"""Bytes of code that each feature takes at most."""
STACK = 200
"""Bytes of stack that an inference takes at most."""


def sizes(network: Network) -> Sizes:
    """Return how much the network takes."""
    needed = features(network)
    bias = 4 if needed.wide else 2
    data = 6 * len(network.confidence.margins)
    for layer in network.layers:
        if isinstance(layer, Convolution):
            data += 4 * pack.pack(layer).size + bias * layer.filters
            if not layer.is_last:
                data += (1 + 2 * needed.factors) * layer.filters
            data += (3 + needed.factors) * POINTER + 20 + 12 * needed.padded
        elif isinstance(layer, Scaling):
            data += 6 * layer.shape.channels
        else:
            data += 16
    code = sum(CODE[name] for name in CODE if name == "all" or getattr(needed, name))
    return Sizes(data, code, memory_bytes(network) + window_bytes(network), STACK)


def memory_bytes(network: Network) -> int:
    """Return how many bytes lie between the layers, with those read beyond; 0 for one layer."""
    return memory.plan(network).size + SPARE if len(network.layers) > 1 else 0


def window_bytes(network: Network) -> int:
    """Return how many bytes the values of the largest window take, in whole words."""
    gathered = [layer.taps for layer in network.convolutions if not layer.is_whole]
    return pack.AT_ONCE * max(map(pack.words_per_pass, gathered), default=0)


def check(found: Sizes, max_flash: int | None, max_ram: int | None) -> None:
    """Raise UsageError where a limit is exceeded, saying by how much."""
    problems = [
        f"{what} takes {size:,} bytes ({of}), {size - limit:,} over the limit of {limit:,}"
        for what, size, limit, of in (
            ("flash", found.flash, max_flash, f"{found.data:,} of constants, the rest code"),
            ("RAM", found.ram, max_ram, f"{found.memory:,} of buffers, the rest stack"),
        )
        if limit is not None and size > limit
    ]
    if problems:
        raise UsageError(
            f"the model does not fit: {'; '.join(problems)}; "
            "train a smaller one (micro and nano are the smallest) or raise the limit"
        )
