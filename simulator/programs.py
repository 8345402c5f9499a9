"""`python -m simulator.programs`: which programs make up a simulated rig that speaks as a recording system, as JSON.

Whoever rehearses starts them, and need not know what they are: a recording, the stimulus client with a cable to it, and
the adapter of that system, which is the same that runs on a rig.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from adapters.source import create_source
from protocol.plugins import PluginError
from simulator.wires import HOST, WIRES, adapter_options, find_wire, free_ports, name_channels, recording_options


def programs(system: str, address: str, wishes: dict[str, Any]) -> dict[str, list[str]]:
    """Return the command of each program, after `python -m`; raise PluginError for what cannot be had.

    `wishes` holds `neurons` (options of the simulator), `channels` (that the evolutions name), `settings` (windows),
    `fast`. Neurons, and what the client is told beside the cable, are left to who starts them.
    """
    units = create_source("simulator", wishes["neurons"]).channels
    told = adapter_options(system, name_channels(system, units, wishes["channels"]))
    cable = f"tcp://{HOST}:{free_ports(1)[0]}"
    return {
        "simulated recording": [
            "simulator.record", system, "--once", "--cable", cable,
            *_options("-o", told | recording_options(system, wishes["fast"])),
            "--settings", json.dumps(wishes["settings"]),
            *(["--fast", str(find_wire(system).speed)] if wishes["fast"] else []),
        ],
        "stimulus client": ["simulator.screen", "--cable", cable],
        "acquisition adapter": ["adapters.serve", system, address, *_options("-o", told)],
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the wishes as JSON from the standard input, and write the programs as JSON to the standard output."""
    parser = argparse.ArgumentParser("python -m simulator.programs", description=__doc__, allow_abbrev=False)
    parser.add_argument("system", help=", ".join(WIRES))
    parser.add_argument("address", metavar="tcp://SERVER:PORT")
    options = parser.parse_args(arguments)
    try:
        made = programs(options.system, options.address, json.load(sys.stdin))
    except PluginError as wrong:
        sys.exit(str(wrong))
    sys.stdout.write(json.dumps(made))


def _options(flag: str, pairs: dict[str, str]) -> list[str]:
    return [word for key, value in pairs.items() for word in (flag, f"{key}={value}")]


if __name__ == "__main__":
    main()
