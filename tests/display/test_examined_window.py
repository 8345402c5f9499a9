"""`xdream conformance` and the PsychoPy client in a real window, each a process of its own."""

import re
from pathlib import Path

from tests.display.xvfb import needs_a_window, open_screen
from tests.rig import a_rig

pytestmark = needs_a_window


def test_the_psychopy_client_conforms(tmp_path: Path) -> None:
    open_screen()
    with a_rig(tmp_path, generations=1) as rig:
        examiner = rig.start("server", "conformance", rig.address)
        client = rig.start("stimulus_client.client", rig.address, "--windowed", "--patience", "30")
        rig.finish(examiner)
        assert client.wait(timeout=30) == 0
        said = rig.log.read_text()
    assert "pass  says hello: display psychopy" in said
    badge = next(line for line in said.splitlines() if line.startswith("[xdream protocol"))
    assert "conforms]" in badge
    assert re.search(r"latency [\d.]+ ms, jitter [\d.]+ ms, loss \d+ of 15 presentations", badge)
