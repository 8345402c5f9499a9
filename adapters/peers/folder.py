"""The lab's program behind a folder: answers each request with a .mat file, written aside and renamed."""

import json
import threading
from pathlib import Path

import numpy as np

LOOK_EVERY_S = 0.01


class BehindFolder:
    """Answers with one spike on every channel, in a thread of its own."""

    def __init__(self, folder: Path, channels: list[str]) -> None:
        self._folder, self._n_channels = folder, len(channels)
        self.options = {"folder": str(folder), "channels": ",".join(channels)}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            for request in self._folder.glob("*.json"):
                if not request.with_suffix(".mat").exists():
                    self._answer(request)

    def _answer(self, request: Path) -> None:
        from scipy.io import savemat

        try:
            ids = json.loads(request.read_text("utf-8"))["presentation_ids"]
        except FileNotFoundError:
            return
        half = request.with_suffix(".half")
        table = {"presentationID": np.array(ids, float), "tEvokedResp": np.ones((len(ids), self._n_channels))}
        with half.open("wb") as file:
            savemat(file, table)
        half.replace(request.with_suffix(".mat"))
