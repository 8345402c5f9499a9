"""The books balance whatever happens: each slot is measured once or given up, and nothing is counted twice."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import presentation_key
from protocol.messages import Void
from server.ledger import Ledger, SlotState

COUNT = np.array([3], np.int32)
NONE = np.array([0], np.int32)


def a_ledger(n_slots: int = 4, max_attempts: int = 3) -> Ledger:
    ledger = Ledger(1, 2, np.arange(100, 100 + n_slots, dtype=np.int64), max_attempts)
    ledger.make_ready(range(100, 100 + n_slots))
    return ledger


def test_a_showing_is_taken_shown_and_measured() -> None:
    ledger = a_ledger(1)
    presentation, stimulus = ledger.take()
    assert stimulus == 100 and ledger.available == 0 and ledger.debt == 1
    assert ledger.shown(presentation) and not ledger.settled
    assert ledger.measured(presentation, COUNT, NONE) and ledger.settled
    assert ledger.measurements(("u",)).spike_counts.tolist() == [[3]]


def test_an_image_that_does_not_exist_yet_is_waited_for_and_not_overtaken() -> None:
    ledger = Ledger(1, 1, np.array([100, 101, 102], np.int64), 3)
    ledger.make_ready([102])
    assert ledger.available == 0 and ledger.waits_for_images
    ledger.make_ready([100])
    assert ledger.available == 1 and ledger.take()[1] == 100
    ledger.make_ready([101])
    assert [ledger.take()[1] for _ in range(2)] == [101, 102]


def test_an_old_attempt_changes_nothing() -> None:
    ledger = a_ledger(1)
    first, _ = ledger.take()
    ledger.void(first, Void.FIXATION)
    second, _ = ledger.take()
    assert second != first
    assert not ledger.shown(first) and not ledger.measured(first, COUNT, NONE) and not ledger.void(first, Void.FRAME)
    assert ledger.slots[0].state is SlotState.SENT


def test_the_attempts_are_limited_and_only_the_animals_count() -> None:
    ledger = a_ledger(1, max_attempts=2)
    for cause in (Void.DISPLAY_LOST, Void.NOT_SHOWN, Void.FIXATION, Void.IMAGE_MISSING, Void.FRAME):
        assert not ledger.settled
        ledger.void(ledger.take()[0], cause)
    assert ledger.slots[0].state is SlotState.GIVEN_UP and ledger.settled
    assert len(ledger.measurements(("u",)).stimulus_ids) == 0


def test_an_id_of_another_generation_is_no_news() -> None:
    ledger = a_ledger(1)
    presentation, _ = ledger.take()
    other = Ledger(1, 3, np.array([100], np.int64), 3)
    assert not other.shown(presentation)


events = st.lists(st.tuples(st.sampled_from(["take", "shown", "measured", *Void]), st.integers(0, 30)), max_size=200)


@settings(max_examples=100, deadline=None)
@given(events)
def test_the_books_balance_whatever_happens_in_whatever_order(happenings: list[tuple[str, int]]) -> None:
    ledger, taken, counted = a_ledger(6), [], set()
    for what, which in happenings:
        if what == "take":
            if ledger.available:
                presentation, _ = ledger.take()
                assert presentation not in taken
                taken.append(presentation)
        elif taken:
            presentation = taken[which % len(taken)]
            if what == "shown":
                ledger.shown(presentation)
            elif what == "measured":
                if ledger.measured(presentation, COUNT, NONE):
                    slot = presentation_key(presentation).slot
                    assert slot not in counted
                    counted.add(slot)
            else:
                ledger.void(presentation, what)
        done = sum(slot.state in (SlotState.MEASURED, SlotState.GIVEN_UP) for slot in ledger.slots)
        assert ledger.debt == len(ledger.slots) - done
        assert len(ledger.measurements(("u",)).stimulus_ids) == len(counted)
        assert (
            ledger.settled
            or ledger.available
            or any(slot.state in (SlotState.SENT, SlotState.SHOWN) for slot in ledger.slots)
        )
