"""A whole session behind a lock: server, display and adapter as processes, each with its key, and one without."""

from pathlib import Path

import pytest

from protocol.messages import Role
from server.keyring import Keyring
from tests.rig import a_rig


def test_a_session_runs_behind_a_lock_and_those_without_a_key_read_why_they_cannot(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    display, amplifier_key = ring.make("rig3", [Role.DISPLAY, Role.OPERATOR]), ring.make("amp", [Role.ACQUISITION])
    with a_rig(tmp_path, 3) as rig:
        run = ("run", str(rig.config), "--session", str(rig.file), "--no-page", "--keys", str(ring.folder))
        server = rig.start("server", *run)
        assert rig.wait(server, lambda: "listens at" in rig.log.read_text())
        amplifier = ("adapters.serve", "tests.neurons:PixelNeuron", rig.address, "--patience", "30")

        # Without a key, or with one for another role, nobody gets in, and each reads why.
        without = rig.start("stimulus_client.client", rig.address, "--fast", "--patience", "3")
        assert without.wait(timeout=60) == 2
        assert "asks for a key" in rig.log.read_text()
        wrong = rig.start(*amplifier, "--key", str(display))
        assert wrong.wait(timeout=60) == 1
        assert "is for display and operator, not for acquisition" in rig.log.read_text()

        rig.start(*amplifier, "--key", str(amplifier_key))
        rig.start("stimulus_client.client", rig.address, "--fast", "--patience", "30", "--key", str(display))
        rig.finish(server)
        assert rig.n_measured() > 0


@pytest.mark.parametrize("module", ["stimulus_client.client", "adapters.serve"])
def test_a_key_that_others_could_have_read_is_refused_in_a_sentence(module: str, tmp_path: Path) -> None:
    with a_rig(tmp_path, 1) as rig:
        file = Keyring(tmp_path / "keys").make("rig3", [Role.DISPLAY])
        assert file is not None
        file.chmod(0o644)
        source = ["tests.neurons:PixelNeuron"] if module == "adapters.serve" else []
        peer = rig.start(module, *source, rig.address, "--key", str(file))
        assert peer.wait(timeout=60) == 1
        assert "can be read by others" in rig.log.read_text() and "Traceback" not in rig.log.read_text()
