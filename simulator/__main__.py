"""`python -m simulator [NETWORK]` lists the layers of a network that units can be recorded from."""

import sys

from rich.console import Console
from rich.table import Table

from adapters.source import SourceError
from simulator.models import create_network, list_layers


def main(network: str) -> None:
    """Print the layers of a network, or say in a sentence why it has none."""
    try:
        layers = list_layers(create_network(network))
    except SourceError as wrong:
        sys.exit(f"xdream: {wrong}")
    table = Table("layer", "shape", "units")
    for name, shape, n_units in layers:
        table.add_row(name, " x ".join(map(str, shape)), str(n_units))
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "embedded")
