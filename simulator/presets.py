"""Kinds of neuron by name, from `presets.toml`: how strongly, when and how reliably they answer."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

from adapters.source import SourceError
from protocol.plugins import nearest

FILE = Path(__file__).with_name("presets.toml")
RUN_GENERATIONS = 28
"""Length of a usual run, which drifts are given for: the median of the sessions that presets are calibrated to."""


def _key(default: float, meaning: str, low: float = 0.0, high: float = inf) -> Any:
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a kind of neuron. Rates are means over 50 to 200 ms after the onset."""

    psth_ms: tuple[float, ...] = (50, 60, 200, 220)
    psth: tuple[float, ...] = (0, 1, 1, 0)
    baseline_hz: float = _key(0, "Rate without an image.")
    untuned_hz: float = _key(0, "What any image adds to it.")
    tuned_hz: float = _key(120, "What the best reference image adds to that; images that are better add more.")
    half: float = _key(inf, "Activation, in units of the best reference image's, of half of what saturates; inf = none does.", 0.01)  # fmt: skip # noqa: E501
    latency_sd_ms: float = _key(0, "How much units differ in latency: standard deviation.", high=30)
    shape_sd: float = _key(0, "How much units' time courses differ from the kind's: standard deviation of their logarithm.", high=2)  # fmt: skip # noqa: E501
    regularity: float = _key(1, "Order of the gamma process that spikes come from: 1 = Poisson, more = more regular, inf = like a clock.", 0.1)  # fmt: skip # noqa: E501
    refractory_ms: float = _key(0, "No two spikes are nearer.", high=10)
    bursts: float = _key(0, "Share of spikes that a second one follows 2 to 4 ms later.", high=1)
    gain_sd: float = _key(0, "How much responses vary from showing to showing, beside what spikes do: standard deviation of their logarithm.", high=2)  # fmt: skip # noqa: E501
    gain_shared: float = _key(0, "Share of that variance which all units have in common: noise correlation.", high=1)
    drift: float = _key(0, "Change of what images add to the rate, over a run of 28 generations.", -0.9, 10)
    drift_sd: float = _key(0, "Size of slow waves, with periods of 40 to 200 generations, on top of that.", high=2)
    drift_shared: float = _key(0, "Share of the waves' variance which all units have in common.", high=1)
    baseline_drift: float = _key(0, "Change of the baseline rate over such a run.", -0.9, 10)
    adaptation: float = _key(0, "Share of what they add that reference images lose by being shown in every generation.", high=0.95)  # fmt: skip # noqa: E501
    spread: float = _key(0, "How much channels differ in rate: standard deviation of its logarithm, cut off at twice that.", high=2)  # fmt: skip # noqa: E501
    artefacts: float = _key(0, "Share of showings in which a movement puts spikes on all channels at once.", high=1)


PARAMETERS = tuple(each.name for each in fields(Preset) if each.metadata)
"""What a dry run's options may set beside the preset."""


@cache
def presets() -> Mapping[str, Preset]:
    """Return all presets by name."""
    tables = tomllib.loads(FILE.read_text("utf-8"))
    return {name: _made(Preset(), table) for name, table in tables.items()}


def create_preset(name: str, options: Mapping[str, str]) -> Preset:
    """Return the preset of that name with some of its keys set otherwise; raise SourceError for what makes no sense."""
    if name not in presets():
        raise SourceError(f"no preset named {name!r}.{nearest(name, presets())} Known: {', '.join(presets())}.")
    return _made(presets()[name], {key: _value(key, text) for key, text in options.items() if text})


def meanings() -> dict[str, str]:
    """Return what each key means."""
    return {each.name: each.metadata["meaning"] for each in fields(Preset) if each.metadata}


def _made(preset: Preset, values: Mapping[str, Any]) -> Preset:
    changed: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
    return replace(preset, **changed)


def _value(key: str, text: str) -> float:
    limits = next(each.metadata for each in fields(Preset) if each.name == key)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not limits["low"] <= value <= limits["high"]:
        raise SourceError(f"{key} must be a number from {limits['low']:g} to {limits['high']:g}, got {text!r}.")
    return value
