"""Hand-off by files, for labs whose own program counts the spikes, in MATLAB as beside the first XDream.

For each trial a request is put into the folder; the lab's program answers with a file of the same name, `.mat` or
`.h5`. Both sides write under another name and rename, so that nobody reads half a file.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.channels import parse_channels
from adapters.folder_files import Names, Numbers, read
from adapters.rules import number
from adapters.source import SourceError
from protocol.messages import Onsets, Responses, StimulusBatch
from protocol.peer import new_instance

ENDINGS = (".mat", ".h5")
READERS = {"scipy": ".mat up to version 7", "h5py": ".mat of version 7.3 or .h5"}
HALF_WRITTEN_S = 5.0
"""A file that cannot be read for so long is not being written any more: it is broken."""
LOOK_EVERY_S = 0.05
IDS, NAMES, RESPONSE, BASELINE = "presentationID", "stimulusID", "tEvokedResp", "tBaseline"
_NAME = re.compile(r"(?:.*[/\\])?(?:block\d+_\d+_)?(\d{1,18})(?:\.\w+)?")
"""Of an image: its id and an ending, after what the first XDream put before it."""
log = logging.getLogger(__name__)


class FolderExchange:
    """Requests and answers in one folder. An answer must name just the presentations of its request."""

    name = "folder_exchange"
    wants_images = False

    def __init__(
        self, folder: str, channels: str, give_up_s: str = "60", clock: Callable[[], float] = monotonic
    ) -> None:
        self.channels = parse_channels(channels, units=False).names
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise SourceError(f"no folder {folder}: make it, on a disk that both PCs see.")
        self._give_up_s, self._clock = number("give_up_s", give_up_s), clock
        self._looked_s = -LOOK_EVERY_S
        self._start_afresh({})

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh: requests of another session are withdrawn, and answers to them are not looked at."""
        self._start_afresh(settings)
        for old in self._folder.glob("trial_*.json"):
            _withdraw(old)

    def _start_afresh(self, settings: dict[str, Any]) -> None:
        self._settings, self._session = settings, new_instance()[:8]
        self._requests: dict[str, tuple[Onsets, float]] = {}
        self._answers: list[Responses] = []
        self._unreadable: dict[Path, float] = {}

    def see(self, batch: StimulusBatch) -> None:
        """Do nothing: it is the subject that sees."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Do nothing."""

    def request(self, onsets: Onsets) -> None:
        """Put a request into the folder."""
        if not len(onsets.presentation_ids):
            return
        # The last part is another in each session, so that no old answer is taken for a new one.
        name = f"trial_{onsets.trial:08d}_{onsets.presentation_ids[0]}_{self._session}"
        table = {
            "trial": onsets.trial,
            "presentation_ids": onsets.presentation_ids.tolist(),
            "stimulus_ids": onsets.stimulus_ids.tolist(),
            "image_names": [f"{each}.png" for each in onsets.stimulus_ids.tolist()],
            "onsets_s": [None if np.isnan(each) else each for each in onsets.onsets_s.tolist()],
            "channels": self.channels,
            "windows": self._settings,
        }
        half = self._folder / f"{name}.tmp"
        try:
            half.write_text(json.dumps(table), "utf-8")
            half.replace(self._folder / f"{name}.json")
        except OSError as error:
            # A disk on the network may be away for a while: what was shown meanwhile is shown again.
            log.warning("the request cannot be put into the folder: %s", error)
            reason = f"could not be asked about in the folder: {error.strerror}"
            self._answers.append(_not_measured(onsets, len(self.channels), reason))
            return
        self._requests[name] = (onsets, self._clock())

    def poll(self) -> list[Responses]:
        """Return what the files say that have come."""
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            for name, (onsets, asked_s) in list(self._requests.items()):
                self._look_for(name, onsets, asked_s, now_s)
        answers, self._answers = self._answers, []
        return answers

    def data_age_s(self) -> float:
        """Return 0: a folder cannot tell whether the recording goes on."""
        return 0.0

    def close(self) -> None:
        """Withdraw the requests."""
        for name in self._requests:
            _withdraw(self._folder / f"{name}.json")
        self._start_afresh({})

    def look(self) -> list[tuple[bool, str, str]]:
        """Return whether files can be written there, and which answers can be read."""
        try:
            half = self._folder / f"xdream_{self._session}.tmp"
            half.touch()
            half.unlink()
            folder = (True, "folder", f"requests can be written into {self._folder}")
        except OSError as error:
            folder = (False, "folder", f"{self._folder} cannot be written into: {error.strerror}")
        missing = [f"{what} ({name})" for name, what in READERS.items() if not find_spec(name)]
        if missing:
            sentence = f"answers cannot be read that are {', '.join(missing)}: pip install 'xdream[adapters]'"
            return [folder, (False, "answers", sentence)]
        return [folder, (True, "answers", f"can be read if they are {', '.join(READERS.values())}")]

    def _look_for(self, name: str, onsets: Onsets, asked_s: float, now_s: float) -> None:
        path = next((p for p in (self._folder / f"{name}{ending}" for ending in ENDINGS) if _is_there(p)), None)
        if path is None:
            if now_s - asked_s > self._give_up_s:
                self._finish(name, _not_measured(onsets, len(self.channels), "had no answer in the folder in time"))
            return
        try:
            responses = to_responses(*read(path, (IDS, RESPONSE, BASELINE), (NAMES,)), onsets, len(self.channels))
        except SourceError as wrong:
            log.warning("%s: %s", path.name, wrong)
            responses = _not_measured(onsets, len(self.channels), f"was answered by a file that will not do: {wrong}")
        except Exception as error:
            # The readers raise whatever a half-written file makes of them.
            if now_s - self._unreadable.setdefault(path, now_s) < HALF_WRITTEN_S:
                return
            responses = _not_measured(onsets, len(self.channels), f"was answered by a broken file: {error}")
        self._finish(name, responses)

    def _finish(self, name: str, responses: Responses) -> None:
        del self._requests[name]
        _withdraw(self._folder / f"{name}.json")
        self._answers.append(responses)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _withdraw(request: Path) -> None:
    try:
        request.unlink(missing_ok=True)
    except OSError as error:
        log.warning("a request stays in the folder: %s", error)


def to_responses(tables: Numbers, names: Names, onsets: Onsets, n_channels: int) -> Responses:
    """Return the answer that tables give; raise SourceError for one that does not fit the request."""
    if RESPONSE not in tables:
        raise SourceError(f"it has no {RESPONSE}, which is spike counts: scores are not needed, they are made of these")
    ids = presentations(tables, names, onsets)
    counts = tables[RESPONSE]
    baseline = tables.get(BASELINE, np.zeros_like(counts))
    if sorted(ids.tolist()) != sorted(onsets.presentation_ids.tolist()):
        raise SourceError("its presentations are not those that were asked about")
    if counts.shape != (len(ids), n_channels) or baseline.shape != counts.shape:
        raise SourceError(f"{RESPONSE} must be [{len(ids)}, {n_channels}], got {list(counts.shape)}")
    measured = np.asarray(np.isfinite(counts).all(axis=1) & np.isfinite(baseline).all(axis=1))
    both = np.where(measured[:, None], np.hstack([counts, baseline]), 0)
    if (both < 0).any() or (both != np.round(both)).any() or both.max(initial=0) > np.iinfo(np.int32).max:
        raise SourceError("counts must be whole numbers from 0 up: spikes, not rates")
    whole = both.astype(np.int32)
    order = np.argsort(ids)[np.argsort(np.argsort(onsets.presentation_ids))]
    shown = ~np.isnan(onsets.onsets_s)
    return Responses(
        onsets.presentation_ids,
        measured[order] & shown,
        np.ascontiguousarray(whole[order, :n_channels]),
        np.ascontiguousarray(whole[order, n_channels:]),
        "marker",
        reason="" if (measured[order] & shown).all() else "has no onset, or NaN in the file",
    )


def presentations(tables: Numbers, names: Names, onsets: Onsets) -> NDArray[np.float64] | NDArray[np.int64]:
    """Return [n] the presentation of each row: as the file says, or else by the name of its image."""
    if IDS in tables:
        return tables[IDS].ravel()
    if NAMES not in names:
        raise SourceError(
            f"it has neither {IDS} nor {NAMES}, a cell array of texts, so nobody knows which row is which"
        )
    shown = dict(zip(onsets.stimulus_ids.tolist(), onsets.presentation_ids.tolist(), strict=True))
    if len(shown) < len(onsets.stimulus_ids):
        raise SourceError(f"the trial shows an image twice, so {NAMES} does not say which row is which: write {IDS}")
    return np.array([shown[_image(name, shown)] for name in names[NAMES]], np.int64)


def _image(name: str, shown: Iterable[int]) -> int:
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) not in shown:
        raise SourceError(f"{NAMES} names {name!r:.60}, which the trial does not show: see image_names in the request")
    return int(found[1])


def _not_measured(onsets: Onsets, n_channels: int, reason: str) -> Responses:
    n = len(onsets.presentation_ids)
    none = np.zeros((n, n_channels), np.int32)
    return Responses(onsets.presentation_ids, np.zeros(n, np.bool_), none, none, "none", reason=reason)
