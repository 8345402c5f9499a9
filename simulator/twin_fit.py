"""A twin of a recorded neuron: the simulator's parameters that give a session's statistics back.

Everything is estimated from reference images where it can be, since they are the same in every generation:

- their loss over the run is the drift (of a trend that levels off, as the simulator's does);
- how one image's response varies around that is noise: its variance is F mean + s² evoked², where F is what spikes do
  by themselves and s how much the gain varies; F and s² come from images and channels of different strength by
  non-negative least squares, the share of s² that channels have in common from their covariance;
- the weakest image of a channel stands for what any image adds. The strongest is chosen in the even generations and
  measured in the odd ones, and the other way round, so that luck is not taken for strength. Channels are averaged.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.presets import RUN_GENERATIONS, Preset, presets
from simulator.spiking import DRIFT_ENDS
from simulator.twin_session import Array, Recorded

BIN_S = 0.005
FEWEST_SPIKES = 500
"""Below that a time course is noise."""
FEWEST_SHOWINGS = 4
"""Of an image, to see how it varies."""
REGULARITIES = (0.3, 10.0)
LARGEST_DRIFT = 1.0
FEWEST_GENERATIONS = 8
"""Of fewer, noise passes for a trend: over a usual run it is several times as large as what was seen."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How trials went, in seconds; NaN = not to be seen in this session."""

    on_s: float
    off_s: float
    images_per_trial: int
    between_trials_s: float
    """From the end of the last gap of a trial to the first image of the next."""
    generation_s: tuple[float, ...]
    """[n_generations - 1] from a generation's first image to the next one's."""
    break_share: float


@dataclass(frozen=True, slots=True)
class Twin:
    """What was found."""

    channels: tuple[str, ...]
    n_generations: int
    initial_hz: float
    """Of the evolved images, in the first two generations."""
    final_hz: float
    """In the last two."""
    sem_share: float
    """Standard error of a generation's mean, as a share of it."""
    baseline_hz: float
    baseline_drift: float
    untuned_hz: float
    tuned_hz: float
    drift: float
    fano: float
    gain_sd: float
    gain_shared: float
    """NaN for one channel."""
    preset: str
    """The one whose time course is nearest, or "" without spike times."""
    latency_s: float
    """Until the response is half of its peak; NaN without spike times."""
    timing: Timing

    @property
    def is_short(self) -> bool:
        """Whether the session is too short to tell what changes over it: trends are 0 then."""
        return self.n_generations < FEWEST_GENERATIONS

    @property
    def regularity(self) -> float:
        """The order of a gamma process of such a Fano factor."""
        return float(np.clip(1 / max(self.fano, 1e-3), *REGULARITIES))


def fit(session: Recorded) -> Twin:
    """Return the twin of a session's neurons."""
    references = session.is_reference
    first, last = session.generations <= 2, session.generations >= session.generations.max() - 1
    mean_hz = session.response_hz.mean(axis=1)
    baseline_hz, baseline_drift = _trend(session.generations, session.baseline_hz.mean(axis=1))
    passed = _passed(session.generations)[:, None]
    own_hz = session.baseline_hz.mean(axis=0) / np.mean((1 + baseline_drift) ** passed)
    evoked_hz = session.response_hz - own_hz * (1 + baseline_drift) ** passed
    drift = _drift(session, evoked_hz.mean(axis=1)) if references.any() else 0.0
    steady_hz = evoked_hz / (1 + drift) ** passed
    fano, gain_sd, shared = _noise(session, evoked_hz, steady_hz, (1 + drift) ** passed)
    extremes_hz = [_extremes(session, each) for each in steady_hz.T]
    weakest_hz, strongest_hz = (float(np.mean(each)) for each in zip(*extremes_hz, strict=True))
    preset, latency_s = _course(session)
    evolved_hz = [mean_hz[(session.generations == g) & ~references] for g in np.unique(session.generations)]
    return Twin(
        session.channels,
        len(np.unique(session.generations)),
        float(mean_hz[first & ~references].mean()),
        float(mean_hz[last & ~references].mean()),
        float(np.median([_sem(each) / max(each.mean(), 1e-9) for each in evolved_hz if len(each) > 1])),
        baseline_hz,
        baseline_drift,
        weakest_hz,
        max(0.0, strongest_hz - weakest_hz),
        drift,
        fano,
        gain_sd,
        shared,
        preset,
        latency_s,
        timing(session),
    )


def _sem(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _passed(generations: NDArray[np.int64]) -> Array:
    """Return how much of a run's trend has passed: 0 in the first generation, 1 after a usual run, levelling off."""

    def passed(n: Array) -> Array:
        return np.asarray(-np.expm1(-n / DRIFT_ENDS))

    return passed(np.maximum(generations - 1, 0).astype(np.float64)) / float(passed(np.array(float(RUN_GENERATIONS))))


def _trend(generations: NDArray[np.int64], values: Array) -> tuple[float, float]:
    """Return a level at the first generation and its change over a usual run, by least squares of the means."""
    numbers = np.unique(generations)
    means = np.array([values[generations == number].mean() for number in numbers])
    if len(numbers) < FEWEST_GENERATIONS or means.mean() <= 0:
        return float(means.mean()), 0.0
    slope, level = np.polyfit(_passed(numbers), means, 1)
    return float(level), float(np.clip(slope / max(level, 1e-9), -0.9, LARGEST_DRIFT))


def _drift(session: Recorded, evoked_hz: Array) -> float:
    """Return how much the reference images' responses change over a usual run."""
    kept = session.is_reference
    # All images together: a generation that lacks one must not look weaker for it.
    stimuli, places = np.unique(session.stimuli[kept], return_inverse=True)
    usual = np.array([evoked_hz[kept][places == place].mean() for place in range(len(stimuli))])
    generations, strong = session.generations[kept], usual[places] > 0.2 * usual.max()
    if usual.max() <= 0:
        return 0.0
    return _trend(generations[strong], evoked_hz[kept][strong] / usual[places][strong])[1]


def _noise(session: Recorded, evoked_hz: Array, steady_hz: Array, trend: Array) -> tuple[float, float, float]:
    """Return the Fano factor of spikes alone, the gain's standard deviation, and the share of it that is common."""
    window_s = session.config.acquisition.response_window_s
    width_s = window_s[1] - window_s[0]
    rows, targets, own, common = [], [], [], []
    for stimulus in np.unique(session.stimuli[session.is_reference]):
        mine = session.stimuli == stimulus
        if np.count_nonzero(mine) < FEWEST_SHOWINGS:
            continue
        usual = np.maximum(steady_hz[mine].mean(axis=0), 0) * trend[mine] * width_s
        misses = evoked_hz[mine] * width_s - usual
        covariance = misses.T @ misses / (len(misses) - 1)
        means, evoked = session.response_hz[mine].mean(axis=0) * width_s, np.sqrt(np.mean(usual**2, axis=0))
        rows += [[mean, each**2] for mean, each in zip(means, evoked, strict=True)]
        targets += np.diag(covariance).tolist()
        apart = ~np.eye(len(means), dtype=bool)
        common.append(covariance[apart].sum())
        own.append(np.outer(evoked, evoked)[apart].sum())
    if not rows:
        return 1.0, 0.0, float("nan")
    table, variances = np.array(rows), np.array(targets)
    fano, gain = _positive(table, variances)
    in_common = max(0.0, sum(common) / sum(own)) if sum(own) > 0 else 0.0
    if in_common > gain:
        # What channels have in common is better known than how its own variance divides.
        gain = in_common
        fano = max(0.0, float(np.mean((variances - gain * table[:, 1]) / np.maximum(table[:, 0], 1e-9))))
    known = sum(own) > 0 and gain > 0
    return fano, float(np.sqrt(np.log1p(gain))), float(in_common / gain) if known else float("nan")


def _positive(table: Array, targets: Array) -> tuple[float, float]:
    """Return the two non-negative weights of least squares; small variances are known better, and count for more."""
    weights = 1 / np.maximum(table[:, 0], 1e-9)
    scaled, wanted = table * weights[:, None], targets * weights
    both = np.linalg.lstsq(scaled, wanted, rcond=None)[0]
    if both.min() >= 0:
        return float(both[0]), float(both[1])
    alone = [max(0.0, float(column @ wanted / max(column @ column, 1e-12))) for column in scaled.T]
    misses = [np.sum((wanted - weight * column) ** 2) for weight, column in zip(alone, scaled.T, strict=True)]
    return (alone[0], 0.0) if misses[0] <= misses[1] else (0.0, alone[1])


def _extremes(session: Recorded, evoked_hz: Array) -> tuple[float, float]:
    """Return what the weakest and the strongest reference image add, chosen by other showings than measured by."""
    kept = session.is_reference if session.is_reference.any() else np.ones(len(evoked_hz), np.bool_)
    found: list[list[float]] = [[], []]
    for chosen_in in (0, 1):
        chooses = kept & (session.generations % 2 == chosen_in)
        measures = kept & ~chooses
        both = np.intersect1d(session.stimuli[chooses], session.stimuli[measures])
        if not len(both):
            continue
        means = [evoked_hz[chooses & (session.stimuli == stimulus)].mean() for stimulus in both]
        for place, stimulus in enumerate((both[int(np.argmin(means))], both[int(np.argmax(means))])):
            found[place].append(float(evoked_hz[measures & (session.stimuli == stimulus)].mean()))
    if not found[0]:
        return max(0.0, float(np.quantile(evoked_hz[kept], 0.1))), max(0.0, float(np.quantile(evoked_hz[kept], 0.9)))
    return max(0.0, float(np.mean(found[0]))), max(0.0, float(np.mean(found[1])))


def _course(session: Recorded) -> tuple[str, float]:
    """Return the preset of the nearest time course, and when the response has risen to half of its peak."""
    if len(session.times_s) < FEWEST_SPIKES:
        return "", float("nan")
    edges_s = [edge for window in _windows(session) for edge in window]
    bins: Array = np.arange(min(edges_s), max(edges_s) + BIN_S / 2, BIN_S).astype(np.float64)
    counts, _ = np.histogram(session.times_s, bins)
    middle_s: Array = np.asarray(bins[:-1] + BIN_S / 2, np.float64)
    early = counts[middle_s < 0.04]
    course = counts - (early.mean() if len(early) else counts.min())
    smooth = np.convolve(course, np.ones(3) / 3, "same")
    risen = np.flatnonzero(smooth >= smooth.max() / 2)
    named = {name: np.corrcoef(course, _expected(preset, middle_s))[0, 1] for name, preset in presets().items()}
    return max(named, key=lambda name: named[name]), float(middle_s[risen[0]])


def _windows(session: Recorded) -> tuple[tuple[float, float], tuple[float, float]]:
    acquisition = session.config.acquisition
    return acquisition.response_window_s, acquisition.baseline_window_s


def _expected(preset: Preset, middle_s: Array) -> Array:
    return np.interp(middle_s, np.array(preset.psth_ms) / 1000, preset.psth, left=0.0, right=0.0)


def timing(session: Recorded) -> Timing:
    """Return how trials went."""
    trial, onset_s, offset_s, generation = session.flashes.T
    same = np.diff(trial) == 0
    on_s = float(np.median(offset_s - onset_s))
    off_s = float(np.median((onset_s[1:] - offset_s[:-1])[same])) if same.any() else 0.0
    next_trial = (np.diff(trial) == 1) & (np.diff(generation) == 0)
    gaps_s = (onset_s[1:] - offset_s[:-1])[next_trial] - off_s
    firsts_s = np.array([onset_s[generation == number].min() for number in np.unique(generation)])
    n_broken = sum(n for outcome, n in session.outcomes.items() if outcome.startswith("fixation"))
    n_whole = session.outcomes.get("complete", 0)
    return Timing(
        on_s,
        off_s,
        int(np.unique(trial, return_counts=True)[1].max()),
        float(np.median(gaps_s)) if len(gaps_s) else float("nan"),
        tuple(np.diff(firsts_s).tolist()),
        n_broken / max(1, n_broken + n_whole),
    )
