"""Write the parts of docs/ that come from the code: `python tests/pages.py`."""

from collections.abc import Callable
from pathlib import Path

from message_tables import byte_examples, message_tables
from state_diagram import state_diagram
from vectors import vectors

from server.config import reference
from server.database import SCHEMA
from simulator import tables

DOCS = Path(__file__).parent.parent / "docs"
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "config.md": {"tables": reference},
    "protocol.md": {"messages": message_tables, "bytes": byte_examples, "states": state_diagram},
    "session_file.md": {"schema": lambda: f"```sql\n{SCHEMA.read_text('utf-8').strip()}\n```"},
    "simulator.md": {
        "options": tables.options_table,
        "presets": tables.presets_table,
        "courses": tables.courses_table,
        "faults": tables.faults_table,
    },
}
"""Page -> part -> what writes it, between `<!-- part: begin -->` and `<!-- part: end -->`."""


def fresh(page: str) -> str:
    """Return a file of docs/ as it should read now."""
    if page == "vectors.json":
        return vectors()
    text = (DOCS / page).read_text("utf-8")
    for part, write in PARTS[page].items():
        begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"docs/{page} must hold {begin} and {end} once")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{write().strip()}\n\n{end}{rest.partition(end)[2]}"
    return text


PAGES = (*PARTS, "vectors.json")

if __name__ == "__main__":
    for page in PAGES:
        (DOCS / page).write_text(fresh(page), "utf-8")
