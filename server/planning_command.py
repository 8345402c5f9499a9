"""`xdream plan`: what a session of a configuration will take, in a table."""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from server import build
from server.config import Config, ConfigError, load_config
from server.evolution import Evolution
from server.pictures import to_png
from server.planning import Habits, Plan, Range, Search, Spikes, plan
from server.snapshots import pack

N_SAMPLED = 4
Share = Annotated[
    float | None, typer.Option("--breaks", min=0, max=0.95, help="Share of trials broken off; else a usual range.")
]
Minutes = Annotated[
    float, typer.Option(min=0, help="How long the animal works; else until every evolution has its generations.")
]


def plan_session(
    config: Annotated[Path, typer.Argument(help="A configuration file, as docs/config.md describes it.")],
    minutes: Minutes = 0,
    breaks: Share = None,
    acquire_ms: Annotated[
        float | None, typer.Option(min=0, help="Mean time until the eye has come; else a usual range.")
    ] = None,
    gap_ms: Annotated[
        float | None,
        typer.Option(min=0, help="Between a generation's last image and the next's first."),
    ] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Recorded channels; else those that are scored.")] = None,
    rate_hz: Annotated[float, typer.Option(min=0, help="Mean rate of a channel, for the disk.")] = 50.0,
) -> None:
    """Say what a session will take: time a generation, generations, presentations, reward, disk."""
    loaded = load_config(config)
    endless = not all(_end(loaded, number) for number in range(len(loaded.evolutions)))
    minutes = minutes or (loaded.stopping.minutes if endless else 0)
    if endless and not minutes:
        raise ConfigError(
            f"{config}: an evolution has no last generation. Say how long: --minutes 60, or give it generations, in "
            "[evolution] or [stopping]."
        )
    habits = habits_of(loaded, breaks, acquire_ms, gap_ms)
    n_named = len({name for each in loaded.evolutions for name in each.channels})
    console = Console(soft_wrap=True, markup=False)
    say(console, made(loaded, minutes, habits, channels or n_named or 1, rate_hz), habits, loaded)


def habits_of(config: Config, breaks: float | None, acquire_ms: float | None, gap_ms: float | None) -> Habits:
    """Return the usual habits, but for what is known."""
    usual = Habits()
    if breaks is None and config.rehearsal.break_rate:
        breaks = config.rehearsal.break_rate
    if acquire_ms is None and config.rehearsal.reaction_s:
        acquire_ms = 1000 * config.rehearsal.reaction_s
    break_share, acquire_s, gap_s = (
        range_s if known is None else (known / unit, known / unit)
        for known, range_s, unit in (
            (breaks, usual.break_share, 1),
            (acquire_ms, usual.acquire_s, 1000),
            (gap_ms, usual.gap_s, 1000),
        )
    )
    return Habits(break_share, acquire_s, gap_s)


def made(config: Config, minutes: float, habits: Habits, n_channels: int, rate_hz: float) -> Plan:
    """Return the plan of a configuration, by its real optimizers, generators and reference images."""
    evolutions = build.build_evolutions(config)
    searches = [_search(each, config, number) for number, each in enumerate(evolutions)]
    references = evolutions[0].references.images
    edges_s = (*config.acquisition.response_window_s, *config.acquisition.baseline_window_s)
    spikes = Spikes(n_channels, rate_hz, max(edges_s) - min(edges_s))
    n_bytes = sum(len(to_png(image)) for image in references)
    return plan(searches, config.display, minutes, habits, spikes, n_bytes, config.session.seed)


def _end(config: Config, number: int) -> int:
    """Return the generation an evolution ends with, 0 = none: its own; the stopping rules' where they act sooner."""
    own, rule = config.evolutions[number].generations, config.stopping.generations
    return min(own, rule) if own and rule and config.stopping.act else own or rule


def _search(evolution: Evolution, config: Config, number: int) -> Search:
    table = config.evolutions[number]
    proposal = evolution.propose(1)
    images = evolution.generator.render(proposal.codes[:N_SAMPLED])
    return Search(
        evolution.name,
        len(proposal.codes),
        len(proposal.slots),
        table.share,
        _end(config, number),
        sum(len(to_png(image)) for image in images) / len(images),
        proposal.codes[0].nbytes,
        len(pack(evolution.optimizer.snapshot())),
    )


def say(console: Console, found: Plan, habits: Habits, config: Config) -> None:
    """Write a plan to the terminal."""
    table = Table("", Column("expected", justify="right"), Column("90 % of sessions", justify="right"), box=None)
    for number, search in enumerate(found.searches):
        name = f"{search.name}: " if len(found.searches) > 1 else ""
        table.add_row(f"{name}time a generation", *_row(found.generation_s(number), "s"))
        generations = found.quantiles(lambda each, at=number: each.generations[at])  # type: ignore[misc]
        table.add_row(f"{name}generations", *_row(generations))
        table.add_row(f"{name}presentations a generation", str(search.n_slots), "")
    table.add_row("session", *_row(found.quantiles(lambda each: float(each.seconds.sum()) / 60), "min"))
    table.add_row("presentations that count", *_row(found.quantiles(lambda each: each.presentations)))
    table.add_row("presentations shown", *_row(found.quantiles(lambda each: each.shown)))
    table.add_row("trials fixated to the end", *_row(found.quantiles(lambda each: each.rewards)))
    if config.display.reward.pulse_s:
        limit = config.display.reward.limit_pulses or math.inf
        table.add_row("reward pulses", *_row(found.quantiles(lambda each: min(each.rewards, limit))))
    table.add_row("disk", *_row(found.quantiles(lambda each: sum(found.n_bytes(each).values()) / 1e6), "MB"))
    console.print(table)
    console.print(f"\nTime goes to {_shares(found.shares())}.")
    middle = found.played[len(found.played) // 2]
    n_bytes = found.n_bytes(middle)
    parts = {name: value / sum(n_bytes.values()) for name, value in n_bytes.items()}
    console.print(f"Disk goes to {_shares(dict(sorted(parts.items(), key=lambda pair: -pair[1])))}.")
    n = found.spikes.n_channels
    console.print(
        f"Taken for granted: {_between(habits.break_share, 100, '%')} of trials broken off, "
        f"{_between(habits.acquire_s, 1000, 'ms')} until the eye has come, {_between(habits.gap_s, 1000, 'ms')} "
        f"between generations, {n} {'channel' if n == 1 else 'channels'} at {found.spikes.rate_hz:g} Hz. "
        "Say what you know: --breaks 0.2 --acquire-ms 150."
    )


def _row(quantiles: tuple[float, float, float], unit: str = "") -> tuple[str, str]:
    # What has no unit is a count, which is whole.
    digits = 1 if unit and max(quantiles) < 100 else 0
    low, middle, high = (f"{each:.{digits}f}" for each in quantiles)
    unit = f" {unit}" if unit else ""
    return f"{middle}{unit}", f"{low} to {high}{unit}" if low != high else ""


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items() if share >= 0.005)


def _between(known: Range, times: float, unit: str) -> str:
    low, high = (round(times * each) for each in known)
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
