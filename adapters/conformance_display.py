"""What `xdream conformance` asks of a display: conversations that each say what came of them, or fail."""

from math import nan

import numpy as np

from adapters.examiner import N_TRIALS, SETTLE_S, Examiner, Failed
from protocol.ids import presentation_id
from protocol.messages import Acknowledge, Recall, Release, StimulusBatch, Trial, TrialReport, Void, Welcome

DISPLAY = {"on_s": 0.1, "off_s": 0.1, "images_per_trial": 3, "inter_trial_s": 0.1, "fixation_s": 0.0}
SIDE_PX = 64


def reports_a_trial(examiner: Examiner) -> str:
    """A trial is shown and reported: every presentation in its order, with onsets that rise or a void."""
    images = np.random.default_rng(1).integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), np.uint8)
    examiner.says(StimulusBatch(np.arange(3, dtype=np.int64), images))
    report = _shown(examiner, 1)
    onsets_s = report.onsets_s[[not void for void in report.voids]]
    if np.isnan(onsets_s).any() or (np.diff(onsets_s) <= 0).any():
        raise Failed(f"onsets of what counts must rise, got {onsets_s.tolist()}")
    return f"{len(onsets_s)} of 3 shown well"


def shows_a_trial_once(examiner: Examiner) -> str:
    """A report is kept until acknowledged, and until then its trial is not shown again though it is sent again."""
    [first] = [report for report in examiner.all(TrialReport) if report.trial == 1][:1]
    examiner.forget(TrialReport)
    examiner.says(Welcome("conformance", "xdream conformance", DISPLAY))
    examiner.wait_for(
        TrialReport, lambda r: r.trial == 1, examiner.answer_within_s, "the report that was not acknowledged"
    )
    examiner.says(_trial(1))
    examiner.listen(examiner.listen_s)
    if any(not _same(report, first) for report in examiner.all(TrialReport)):
        raise Failed("a trial that was reported was shown again")
    examiner.says(Acknowledge(trials=np.array([1], np.int64)))
    examiner.listen(SETTLE_S)
    examiner.forget(TrialReport)
    examiner.says(Welcome("conformance", "xdream conformance", DISPLAY))
    examiner.listen(SETTLE_S)
    if examiner.all(TrialReport):
        raise Failed("a report that was acknowledged was sent again")
    return "shown once, reported until acknowledged"


def _same(report: TrialReport, first: TrialReport) -> bool:
    """Return whether it is the report of one and the same showing."""
    return report.trial == first.trial and np.array_equal(report.onsets_s, first.onsets_s, equal_nan=True)


def gives_back(examiner: Examiner) -> str:
    """On Recall, trials that have not begun are reported at once, each presentation void: not_shown."""
    numbers = range(30, 34)
    examiner.says(*(_trial(number) for number in numbers), Recall())
    reports = [_report(examiner, number) for number in numbers]
    last = set(reports[-1].voids)
    if last != {Void.NOT_SHOWN}:
        raise Failed(f"the last of four trials, which cannot have begun, came back as {reports[-1].voids}")
    return f"{sum(set(report.voids) == {Void.NOT_SHOWN} for report in reports)} of 4 trials given back"


def shows_trial_after_trial(examiner: Examiner) -> str:
    """Trials are shown one after the other; how evenly, and how many images not as they should be, is measured."""
    figures, intervals_s = examiner.figures, []
    for number in range(10, 10 + N_TRIALS):
        sent_s = examiner.clock()
        report = _shown(examiner, number)
        came_s = examiner.came_s[int(report.presentation_ids[0])]
        good = np.array([not void for void in report.voids]) & (report.frames_shown == report.frames_expected)
        figures.n_asked, figures.n_lost = figures.n_asked + len(good), figures.n_lost + int((~good).sum())
        if good.all():
            figures.latencies_s.append(came_s - sent_s - float(report.offsets_s[-1] - report.onsets_s[0]))
            intervals_s += np.diff(report.onsets_s).tolist()
    figures.jitter_s = float(np.std(intervals_s)) if intervals_s else nan
    return f"{N_TRIALS} trials, {figures.n_asked - figures.n_lost} of {figures.n_asked} images shown well"


def says_what_it_lacks(examiner: Examiner) -> str:
    """A trial of an image that was released is void: image_missing."""
    examiner.says(Release(np.arange(3, dtype=np.int64)))
    report = _shown(examiner, 2)
    if Void.IMAGE_MISSING not in report.voids:
        raise Failed(f"voids {report.voids} of a trial whose images it was told to forget")
    return "image_missing"


SCREEN = (
    reports_a_trial,
    shows_a_trial_once,
    shows_trial_after_trial,
    gives_back,
    says_what_it_lacks,
)


def _trial(number: int) -> Trial:
    ids = np.array([presentation_id(1, number, slot, 0) for slot in range(3)], np.int64)
    return Trial(number, ids, np.arange(3, dtype=np.int64))


def _shown(examiner: Examiner, number: int) -> TrialReport:
    examiner.says(_trial(number))
    report = _report(examiner, number)
    if report.presentation_ids.tolist() != _trial(number).presentation_ids.tolist():
        raise Failed("the report names other presentations than the trial, or in another order")
    return report


def _report(examiner: Examiner, number: int) -> TrialReport:
    return examiner.wait_for(
        TrialReport,
        lambda report: report.trial == number,
        examiner.answer_within_s,
        f"the report of trial {number}",
    )
