"""What a session came to, for the terminal, when it is over."""

from pathlib import Path

from rich.console import Console

from server.reading import Reader


def sum_up(path: Path, console: Console) -> None:
    """Say what the session came to, and where it is."""
    from server.picture import draw  # takes a second to import, which a resumed session must not wait for

    reader = Reader(path)
    try:
        measured, void = reader.count("measured"), reader.count("void")
        console.print(f"\n{measured} presentations measured, {void} void (shown again).")
        for number, name in reader.evolutions().items():
            effect = reader.effect(number)
            if effect is not None:
                low, high = effect.interval_hz
                console.print(
                    f"{name}: evolved images {effect.evolved_hz:.1f} Hz (mean of the last generation), best reference "
                    f"image {effect.reference_hz:.1f} Hz: {effect.ratio:.2f} times, "
                    f"{effect.evolved_hz - effect.reference_hz:+.1f} Hz (95 % interval {low:+.1f} to {high:+.1f})"
                )
        try:
            draw(reader, path.with_suffix(".png"))
            console.print(f"picture  {path.with_suffix('.png')}")
        except ValueError:
            console.print("no generation was finished, so there is no picture yet")
    finally:
        reader.close()
    console.print(f"session  {path}  (go on: xdream resume {path})")
