"""What a user may ask of the simulator, as text, and what is made of it."""

from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from adapters.rules import MS_PER_S
from adapters.source import SourceError
from protocol.plugins import nearest
from simulator.arrays import Array, channel_numbers, known_array, network_array
from simulator.faults import AcquisitionFaults, parse_faults
from simulator.firing import AROUND_S, Firing, FlatFiring, PresetFiring, Windows
from simulator.jitter import Jitter
from simulator.models import create_network
from simulator.neurons import Exact, Gain, Poisson
from simulator.presets import PARAMETERS, create_preset, meanings
from simulator.spiking import WINDOW_S, Spiking
from simulator.units import Preparation

NOISES = ("poisson", "none")
ZEROS = ("0", "worst_reference")
KNOWN = "known"
DEFAULT_SPIKES = "20"
PPM = 1e-6
MAX_DRIFT_PPM = 1000
"""Quartz is a hundred times better; what drifts more tells its sample rate wrongly."""
MAX_JITTER_MS = 100.0
OF_RECORDING = ("loss_rate", "drift_ppm", "jitter_ms", "faults", "lives")
"""Options that are no neuron's: where the recording has a wire of its own, it sees to them itself."""


def _option(default: str, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


def _rate(name: str) -> Any:
    return _option("", meanings()[name])


@dataclass(frozen=True, slots=True)
class Options:
    """All options, as their user wrote them; "" = as the preset says, or nothing."""

    network: str = _option("embedded", "`embedded`, `package.module:callable`, `file.py:callable`, or `known`: neurons whose best image is known.")  # fmt: skip # noqa: E501
    weights: str = _option("", "A `.safetensors` file, or a `.pt` file that holds tensors only.")
    layer: str = _option("output", "Layer of the units; `xdream layers NETWORK` lists them.")
    units: str = _option("0", "What each channel hears: below.")
    mixture: str = _option("1", "With `random N`: how many units a channel hears at most.")
    dead: str = _option("", "Places of channels that never fire, such as `3,7`.")
    hot: str = _option("", "Places of channels that fire at 400 Hz whatever is shown.")
    mean: str = _option("", "Taken off images, RGB from 0 to 1, before the network sees them: `0.485,0.456,0.406`.")
    std: str = _option("", "And then divided by: `0.229,0.224,0.225`.")
    size_px: str = _option("0", "Side that images are resized to; 0 = as they come.")
    device: str = _option("cpu", "Where the network is: `cpu`, `cuda`, `cuda:1`, `mps`.")
    preset: str = _option("", "`ideal`, `poisson`, `V1`, `V4` or `IT`: below; none = Poisson counts at a flat rate.")
    spikes_at_best_reference: str = _option("", "Spikes in the response window (of presets: in 150 ms) that the best reference image adds; without a preset `20` if not given.")  # fmt: skip # noqa: E501
    zero_at: str = _option("0", "The activation that is worth no spikes: `0`, or for logits rather `worst_reference`.")
    noise: str = _option("", "`poisson` or `none`; of presets: what these take away.")
    loss_rate: str = _option("0", "Share of showings whose data are lost on the way; they are shown again.")
    drift_ppm: str = _option("0", "How much faster the recording's clock runs than the display's; over a wire only (`--as`), as a direct simulator has no clock.")  # fmt: skip # noqa: E501
    jitter_ms: str = _option("0", "How far onsets stray from where the display says: standard deviation. One that strays 8 ms or more is not measured, and shown again.")  # fmt: skip # noqa: E501
    faults: str = _option("", "What is to go wrong, and when: below.")
    lives: str = _option("0", "How often this simulator was started again after a crash; a dry run says so.")
    seed: str = _option("0", "Where all random numbers start; a dry run gives the session's.")
    baseline_hz: str = _rate("baseline_hz")
    untuned_hz: str = _rate("untuned_hz")
    tuned_hz: str = _rate("tuned_hz")
    half: str = _rate("half")
    latency_sd_ms: str = _rate("latency_sd_ms")
    shape_sd: str = _rate("shape_sd")
    regularity: str = _rate("regularity")
    refractory_ms: str = _rate("refractory_ms")
    bursts: str = _rate("bursts")
    gain_sd: str = _rate("gain_sd")
    gain_shared: str = _rate("gain_shared")
    drift: str = _rate("drift")
    drift_sd: str = _rate("drift_sd")
    drift_shared: str = _rate("drift_shared")
    baseline_drift: str = _rate("baseline_drift")
    adaptation: str = _rate("adaptation")
    spread: str = _rate("spread")
    artefacts: str = _rate("artefacts")

    def __post_init__(self) -> None:
        one_of("zero_at", self.zero_at, ZEROS)
        if self.noise and self.noise not in NOISES:
            raise SourceError(f"no noise named {self.noise!r}. Known: {', '.join(NOISES)}.")
        number("spikes_at_best_reference", self.spikes_at_best_reference or DEFAULT_SPIKES)
        self._check_preset()
        whole("seed", self.seed)
        number("jitter_ms", self.jitter_ms, MAX_JITTER_MS)
        _ = self.clock_drift

    def _check_preset(self) -> None:
        if self.preset:
            create_preset(self.preset, self._overrides())
            return
        number("baseline_hz", self.baseline_hz or "0")
        given = [name for name in PARAMETERS if name != "baseline_hz" and getattr(self, name)]
        if given:
            raise SourceError(f"{given[0]} belongs to a preset: name one, such as preset = poisson.")

    def array(self) -> Array:
        """Return the channels; raise SourceError for units, networks and weights that there are not."""
        seed = whole("seed", self.seed)
        if self.network == KNOWN:
            return known_array("gabor" if self.units == "0" else self.units, seed)
        network = create_network(self.network, self.weights)
        preparation = Preparation(
            _numbers("mean", self.mean), _numbers("std", self.std), whole("size_px", self.size_px), self.device
        )
        return network_array(network, self.layer, self.units, whole("mixture", self.mixture), seed, preparation)

    def gain(self, n_units: int) -> Gain:
        """Return what turns activations into spikes or, for a preset, into shares of the best reference image's."""
        spikes = 1.0 if self.preset else number("", self.spikes_at_best_reference or DEFAULT_SPIKES)
        return Gain(spikes, n_units, self.zero_at == "worst_reference")

    def firing(self, channels: tuple[str, ...], windows: Windows) -> Firing:
        """Return the channels' spikes for these windows."""
        seed, n = whole("seed", self.seed), len(channels)
        dead, hot = (channel_numbers(key, getattr(self, key), n) for key in ("dead", "hot"))
        if not self.preset:
            noise = Exact() if self.noise == "none" else Poisson(seed, channels)
            return FlatFiring(noise, windows, number("baseline_hz", self.baseline_hz or "0"), dead, hot, n)
        start_s, end_s = windows.ends_s
        span_s = min(start_s, AROUND_S[0]), max(end_s, AROUND_S[1])
        spiking = Spiking(create_preset(self.preset, self._overrides()), channels, seed, span_s)
        return PresetFiring(spiking, windows, dead, hot)

    def trouble(self) -> AcquisitionFaults:
        """Return what is to go wrong."""
        loss, lives = number("loss_rate", self.loss_rate, 1.0), whole("lives", self.lives)
        return AcquisitionFaults(parse_faults(self.faults), whole("seed", self.seed), lives, loss, jitter=self.jitter)

    @property
    def clock_drift(self) -> float:
        """Seconds that the recording's clock gains a second."""
        try:
            ppm = float(self.drift_ppm)
        except ValueError:
            ppm = inf
        if not abs(ppm) <= MAX_DRIFT_PPM:
            limits = f"from -{MAX_DRIFT_PPM} to {MAX_DRIFT_PPM}"
            raise SourceError(f"drift_ppm must be a number {limits}, got {self.drift_ppm!r}.")
        return ppm * PPM

    @property
    def jitter(self) -> Jitter:
        """How far onsets stray."""
        return Jitter(number("jitter_ms", self.jitter_ms, MAX_JITTER_MS) / MS_PER_S, whole("seed", self.seed))

    def _overrides(self) -> dict[str, str]:
        quiet = {"regularity": "inf", "gain_sd": "0", "artefacts": "0", "bursts": "0", "refractory_ms": "0"}
        poisson = {"regularity": "1", "gain_sd": "0", "refractory_ms": "0", "bursts": "0"}
        noise = {"none": quiet, "poisson": poisson, "": {}}[self.noise]
        given = {name: getattr(self, name) for name in PARAMETERS if getattr(self, name)}
        if not self.spikes_at_best_reference:
            return {**noise, **given}
        # All that the best image adds, so that what any image adds keeps its share.
        preset = create_preset(self.preset, given)
        added_hz = number("", self.spikes_at_best_reference) / (WINDOW_S[1] - WINDOW_S[0])
        scale = added_hz / max(preset.untuned_hz + preset.tuned_hz, 1e-9)
        rates = {name: str(scale * getattr(preset, name)) for name in ("untuned_hz", "tuned_hz")}
        return {**noise, **given, **rates}


def one_of(name: str, text: str, known: tuple[str, ...]) -> None:
    """Raise SourceError unless a text is one of the known ones."""
    if text not in known:
        raise SourceError(f"{name} must be {' or '.join(known)}, got {text!r}.{nearest(text, known)}")


def number(name: str, text: str, high: float = inf) -> float:
    """Return a number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= high or value == inf:
        limits = "from 0 up" if high == inf else f"from 0 to {high:g}"
        raise SourceError(f"{name} must be a number {limits}, got {text!r}.")
    return value


def whole(name: str, text: str) -> int:
    """Return a whole number from 0 up."""
    if not text.isdecimal():
        raise SourceError(f"{name} must be a whole number from 0 up, got {text!r}.")
    return int(text)


def described() -> list[tuple[str, str, str]]:
    """Return (name, default, meaning) of every option."""
    return [(each.name, str(each.default), each.metadata["meaning"]) for each in fields(Options)]


def _numbers(name: str, text: str) -> tuple[float, ...]:
    values = tuple(number(name, piece.strip()) for piece in text.split(",") if piece.strip())
    if len(values) not in (0, 1, 3):
        raise SourceError(f"{name} must be one number or three, for red, green and blue, got {text!r}.")
    return values
