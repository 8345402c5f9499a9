"""Random streams that can be written down: PCG64 as the house's own, MT19937 as XDream's."""

from typing import Any

import numpy as np

from server.optimizers.parameters import OptimizerError

RandomStream = np.random.Generator | np.random.RandomState


def open_stream(seed: Any, legacy: bool = False) -> RandomStream:
    """Return a stream of its own for a seed: an int, or a sequence of ints such as (session, evolution)."""
    try:
        if legacy:
            return np.random.RandomState(seed)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    except (TypeError, ValueError) as wrong:
        raise OptimizerError(
            f"a seed must be a whole number from 0 up, or a sequence of them, got {seed!r} ({wrong})."
        ) from None


def freeze(stream: RandomStream) -> dict[str, Any]:
    """Return the state of a stream as plain values; PCG64's 128-bit numbers as decimal text."""
    if isinstance(stream, np.random.RandomState):
        state = dict(stream.get_state(legacy=False))
        return {
            "kind": "MT19937",
            "key": np.array(state["state"]["key"]),
            "position": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }
    state = dict(stream.bit_generator.state)
    return {
        "kind": "PCG64",
        "state": str(state["state"]["state"]),
        "increment": str(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def thaw(frozen: dict[str, Any]) -> RandomStream:
    """Return the stream that `freeze` wrote down."""
    if frozen["kind"] == "MT19937":
        legacy = np.random.RandomState()
        key = np.array(frozen["key"], np.uint32)
        legacy.set_state(("MT19937", key, frozen["position"], frozen["has_gauss"], frozen["gauss"]))
        return legacy
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(frozen["state"]), "inc": int(frozen["increment"])},
        "has_uint32": frozen["has_uint32"],
        "uinteger": frozen["uinteger"],
    }
    return np.random.Generator(bits)
