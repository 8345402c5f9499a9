"""Whatever an adapter says it had to do without stands in the documentation, with what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("adapters.md", "bridge.md", "errors.md")


def sentences() -> Iterator[tuple[str, str]]:
    """Yield (file, the fixed words that come first) of each sentence that an adapter notes."""
    for path in sorted((ROOT / "adapters").glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "note":
                said = call.args[1]
                yield path.name, fixed(constants[said.id] if isinstance(said, ast.Name) else said)


def fixed(said: ast.expr) -> str:
    """Return a sentence up to its first colon, or to the first thing that differs from time to time."""
    pieces = said.values if isinstance(said, ast.JoinedStr) else [said]
    words = ""
    for piece in pieces:
        if not isinstance(piece, ast.Constant):
            break
        words += str(piece.value)
    return words.partition(":")[0].split(" (")[0].strip()


@pytest.mark.parametrize(("file", "words"), sorted(set(sentences())))
def test_a_warning_is_in_the_documentation(file: str, words: str) -> None:
    pages = " ".join(" ".join((ROOT / "docs" / page).read_text("utf-8").split()) for page in PAGES)
    assert len(words) > 10, "there are words to look for"
    assert f"`{words}" in pages, f"{file} says it, and no page says what to do"
