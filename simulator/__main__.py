"""`python -m simulator [NETWORK [PX]]` lists layers; `python -m simulator truth FILE` says how close a search came."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from adapters.source import SourceError
from simulator.models import create_network, sized_layers


def main(network: str, size_px: int = 0) -> None:
    """Print the layers of a network for images of a size, or say in a sentence why it has none."""
    try:
        side_px, layers = sized_layers(create_network(network), size_px)
    except SourceError as wrong:
        sys.exit(f"xdream: {wrong}")
    table = Table("layer", "shape", "units")
    for name, shape, n_units in layers:
        table.add_row(name, " x ".join(map(str, shape)), str(n_units))
    console = Console(markup=False, highlight=False)
    console.print(table)
    console.print(f"for images of {side_px} x {side_px} px" + ("" if size_px else "; of other sizes: --size PX"))


def truth(session: str) -> None:
    """Print how close the pictures of a session came to those that its neurons like best."""
    from server.config import ConfigError
    from server.damage import naming_damage
    from server.database import SessionFileError
    from simulator.close_up import NothingKnown, close_up

    try:
        with naming_damage(Path(session), NothingKnown, SourceError, ConfigError):
            found = close_up(Path(session))
    except (NothingKnown, SessionFileError, SourceError, ConfigError) as wrong:
        sys.exit(f"xdream: {session}: {wrong}")
    # A neuron is its numbers: none may be cut off.
    neuron = Column("neuron", overflow="fold")
    table = Table("evolution", neuron, "picture", "activation", "cosine", "correlation")
    for each in found:
        shares = (f"{100 * each.close.activation:.0f} %", f"{each.close.cosine:.2f}", f"{each.close.correlation:.2f}")
        table.add_row(each.evolution, each.neuron, each.picture, *shares)
    Console(markup=False).print(table)
    Console().print("activation: of the best picture there is; cosine, correlation: with it, where the neuron looks")


if __name__ == "__main__":
    if sys.argv[1:2] == ["truth"] and len(sys.argv) == 3:
        truth(sys.argv[2])
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "embedded", int(sys.argv[2]) if len(sys.argv) > 2 else 0)
