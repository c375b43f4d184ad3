"""Words and triggers: what is missing, doubled, late or drifting is found, told with its place, or refused."""

import mne
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laboratory import DATA

from pipeline.problems import Problem, StudyError
from pipeline.recordings.meg import Meg
from pipeline.recordings.meg.triggers import Clock, clock_of, some_missing
from pipeline.runs import Run

RUN = Run("01", "a", "meg", ("a_raw.fif",), "words.tsv", start_s=1.5)
SFREQ, N = 1000.0, 120
AWAY_S = 0.1  # further from every word than a trigger can belong to it


def onsets_of(n: int = N, seed: int = 0) -> np.ndarray:
    """Words 0.2 to 0.9 s apart, as in speech."""
    return np.cumsum(np.random.default_rng(seed).uniform(0.2, 0.9, n)).round(3)


def words_of(onsets: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"onset": onsets, "duration": 0.1, "word": "a"})


def raw_of(
    triggers_s: np.ndarray, code: int = 5, *, others: dict[float, int] | None = None, first_samp: int = 0, as_annotations: str = ""
) -> mne.io.RawArray:  # fmt: skip
    """A recording with pulses of 10 ms on STI101 (or annotations), and nothing else."""
    n = int((max(triggers_s) + 3) * SFREQ)
    data = np.zeros((2, n))
    pulses = {t: code for t in triggers_s} | (others or {})
    if not as_annotations:
        for at, value in pulses.items():
            data[1, round(at * SFREQ) : round(at * SFREQ) + 10] = value
    raw = mne.io.RawArray(
        data, mne.create_info(["MEG0111", "STI101"], SFREQ, ["mag", "stim"]), first_samp, verbose="ERROR"
    )
    if as_annotations:
        raw.set_annotations(mne.Annotations(np.sort(triggers_s), 0.1, as_annotations))
    return raw


def aligned(
    raw: mne.io.RawArray, onsets: np.ndarray, align: str = "affine", trigger: str | tuple = "STI101", **how
) -> Clock:
    return clock_of(Meg(align=align, trigger=trigger, **how), raw, words_of(onsets), RUN, "a_raw.fif")


def refused(
    raw: mne.io.RawArray, onsets: np.ndarray, align: str = "affine", trigger: str | tuple = "STI101", **how
) -> Problem:
    with pytest.raises(StudyError) as told:
        aligned(raw, onsets, align, trigger, **how)
    (problem,) = told.value.problems
    assert (problem.file, problem.subject, problem.level) == ("a_raw.fif", "01", "error")
    assert problem.field and problem.found and problem.fix
    return problem


def at(clock: Clock, onsets: np.ndarray) -> np.ndarray:
    return clock.offset_s + clock.slope * onsets


def jittered(n: int, ms: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, ms / 1e3, n)


# ---- where words lie


def test_onsets_lie_where_the_table_and_start_s_say():
    clock = clock_of(Meg(), raw_of(np.array([1.0])), words_of(onsets_of()), RUN, "a_raw.fif")
    np.testing.assert_allclose(at(clock, onsets_of()), onsets_of() - 1.5)
    assert clock.known.all() and not len(clock.jitter_s) and not clock.warnings


def test_one_trigger_for_each_word_gives_offset_and_drift():
    onsets = onsets_of()
    clock = aligned(raw_of(7.25 + onsets * (1 + 50e-6)), onsets, "triggers")
    # pulses start at whole milliseconds
    np.testing.assert_allclose(at(clock, onsets), 7.25 + onsets * (1 + 50e-6), atol=5e-4)
    assert clock.facts["slope_ppm"] == pytest.approx(50, abs=5) and clock.facts["offset_s"] == pytest.approx(
        7.25, abs=5e-4
    )
    assert (clock.facts["n_triggers"], clock.facts["n_words"], clock.facts["n_matched"]) == (N, N, N)
    assert clock.warnings == []


def test_seconds_count_from_the_files_first_sample():
    onsets = onsets_of()
    clocks = [aligned(raw_of(2 + onsets, first_samp=n), onsets, "triggers") for n in (0, 54321)]
    assert clocks[0].offset_s == clocks[1].offset_s == pytest.approx(2)


def test_only_the_named_codes_are_triggers():
    onsets = onsets_of()
    raw = raw_of(2 + onsets, others={2.0 + t: 9 for t in onsets[::10] + 0.1})
    assert aligned(raw, onsets, "triggers", "STI101:5").facts["n_triggers"] == N
    assert aligned(raw, onsets, "affine", "STI101:5,9").facts["n_extra"] == len(onsets[::10])
    assert aligned(raw, onsets, "affine", "STI101").facts["n_extra"] == len(onsets[::10])


def test_annotations_are_triggers_even_with_a_colon_in_their_name():
    onsets = onsets_of()
    clock = aligned(raw_of(2 + onsets, as_annotations="word:on"), onsets, "triggers", "word:on")
    np.testing.assert_allclose(at(clock, onsets), 2 + onsets, atol=1e-3)


def test_annotations_count_from_the_first_sample_too():
    onsets = onsets_of()
    raw = raw_of(2 + onsets, as_annotations="word", first_samp=4321)
    assert aligned(raw, onsets, "triggers", "word").offset_s == pytest.approx(2 - 4.321 + raw.first_time, abs=1e-3)


def test_words_that_begin_together_share_a_trigger():
    onsets = np.sort(np.concatenate([onsets_of(), onsets_of()[:7]]))
    clock = aligned(raw_of(2 + onsets_of()), onsets, "triggers")
    assert clock.offset_s == pytest.approx(2, abs=1e-3) and clock.facts["n_missing"] == 0


# ---- missing, too many, drifting


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31), n=st.integers(30, 250), dropped=st.floats(0, 0.35), extra=st.floats(0, 0.4),
    ppm=st.floats(-900, 900), offset_s=st.floats(-20, 2000),
)  # fmt: skip
def test_whatever_is_dropped_or_added_the_match_is_exact(seed, n, dropped, extra, ppm, offset_s):
    rng = np.random.default_rng(seed)
    onsets = onsets_of(n, seed)
    places = offset_s + onsets * (1 + ppm * 1e-6)
    kept = np.sort(rng.permutation(n)[: n - int(dropped * n)])
    noise = rng.uniform(places[0] - 20, places[-1] + 20, int(extra * n))
    noise = noise[np.abs(noise[:, None] - places).min(axis=1) > AWAY_S]
    triggers = np.concatenate([places[kept] + rng.uniform(-0.004, 0.004, len(kept)), noise])
    order = np.argsort(triggers)
    line = some_missing(Meg(align="affine", trigger="x"), triggers[order], onsets, RUN, "a_raw.fif")
    np.testing.assert_array_equal(line.match.words, kept)
    np.testing.assert_array_equal(order[line.match.triggers], np.arange(len(kept)))
    expected = line.match.offset_s + line.match.slope * onsets
    assert np.abs(expected - places).max() < 0.004


def test_ten_thousand_words_drifting_by_seconds_are_matched():
    onsets = onsets_of(10_000)
    places = 30 + onsets * (1 + 1e-3 * 0.9)
    assert places[-1] - 30 - onsets[-1] > 4  # several words further on at the end
    kept = np.random.default_rng(3).random(10_000) > 0.1
    triggers = places[kept] + jittered(int(kept.sum()), 2)
    line = some_missing(Meg(align="affine", trigger="x"), triggers, onsets, RUN, "a_raw.fif")
    np.testing.assert_array_equal(line.match.words, np.flatnonzero(kept))
    assert line.match.slope == pytest.approx(1 + 0.9e-3, abs=1e-7)


def test_words_without_a_trigger_keep_their_place_and_are_counted():
    onsets = onsets_of()
    missing = [3, 50, 51, 119]
    clock = aligned(raw_of(np.delete(2 + onsets, missing)), onsets)
    np.testing.assert_allclose(at(clock, onsets), 2 + onsets, atol=1e-3)
    assert clock.known.all()
    assert (clock.facts["n_missing"], clock.facts["n_extra"], clock.facts["n_matched"]) == (4, 0, N - 4)
    (warning,) = clock.warnings
    assert warning.code == "W-MEG-39" and "4 words without a trigger" in warning.found
    assert f"word 4 at {onsets[3]:.3f} s" in warning.found


def test_triggers_without_a_word_are_counted_and_not_used():
    onsets = onsets_of()
    extra = [1.0, 2 + onsets[60] + 0.1]
    clock = aligned(raw_of(np.concatenate([2 + onsets, extra])), onsets)
    assert clock.facts["n_extra"] == 2 and "2 triggers without a word (trigger 1 at 1.000 s" in clock.warnings[0].found


def test_a_late_trigger_does_not_move_the_line():
    onsets = onsets_of()
    late = 2 + onsets
    late[-1] += 0.5  # at the end it would turn a line of least squares most
    clock = aligned(raw_of(late), onsets, "triggers")
    np.testing.assert_allclose(at(clock, onsets), 2 + onsets, atol=1e-4)
    assert np.abs(clock.jitter_s[-1]) == pytest.approx(0.5, abs=1e-3)


def test_a_single_word_is_placed_by_its_trigger():
    clock = aligned(raw_of(np.array([4.5])), np.array([1.0]), "triggers")
    assert (clock.slope, clock.offset_s) == (1.0, 3.5)


# ---- row 56: counts that differ


def test_a_dropped_trigger_is_refused_with_counts_and_the_longest_stretch():
    onsets = onsets_of()
    problem = refused(raw_of(np.delete(2 + onsets, 40)), onsets, "triggers")
    assert problem.code == "E-MEG-33" and "affine" in problem.fix
    assert f"{N - 1} triggers, {N} words" in problem.found
    assert f"words 42 to {N} ({onsets[41]:.3f} to {onsets[-1]:.3f} s)" in problem.found
    assert f"triggers 41 to {N - 1} ({2 + onsets[41]:.3f} to {2 + onsets[-1]:.3f} s)" in problem.found


def test_an_extra_trigger_is_refused_with_counts_and_the_longest_stretch():
    onsets = onsets_of()
    problem = refused(raw_of(np.append(2 + onsets, 2 + onsets[80] + 0.1)), onsets, "triggers")
    assert f"{N + 1} triggers, {N} words" in problem.found
    assert "words 1 to 81" in problem.found and "triggers 1 to 81" in problem.found


def test_triggers_of_another_stimulus_are_refused():
    problem = refused(raw_of(2 + onsets_of(seed=7)), onsets_of(seed=8))
    assert problem.code == "E-MEG-34" and "at least 50%" in problem.expected


def test_half_of_the_words_are_enough_and_fewer_are_not():
    onsets = onsets_of(200)
    places = 2 + onsets
    assert aligned(raw_of(places[60:]), onsets).facts["n_matched"] == 140
    assert refused(raw_of(places[104:]), onsets).code == "E-MEG-34"


def test_even_words_that_fit_several_ways_are_refused():
    onsets = np.arange(1, 101) * 0.5
    problem = refused(raw_of(2 + onsets[:-3]), onsets)
    assert problem.code == "E-MEG-37" and "97 words meet one, and 97" in problem.found


def test_even_words_are_matched_where_the_ends_decide():
    onsets = np.arange(1, 101) * 0.5
    clock = aligned(raw_of(np.delete(2 + onsets, [30, 31, 70])), onsets)
    assert clock.offset_s == pytest.approx(2) and clock.facts["n_missing"] == 3


def test_words_shown_one_by_one_are_matched_by_the_pauses_between_sentences():
    rng = np.random.default_rng(2)
    onsets = np.cumsum(np.where(rng.random(300) < 0.1, rng.uniform(1, 4, 300), 0.35)).round(3)
    missing = [0, 1, 2, 77, 130, 131, 299]
    clock = aligned(raw_of(np.append(np.delete(2 + onsets, missing), [2 + onsets[50] + 0.17])), onsets)
    assert clock.offset_s == pytest.approx(2, abs=1e-3)
    assert (clock.facts["n_missing"], clock.facts["n_extra"]) == (len(missing), 1)


def test_triggers_so_many_that_words_meet_one_anywhere_are_refused():
    onsets = onsets_of(200)
    many = np.sort(np.random.default_rng(1).uniform(0, onsets[-1] + 10, 3000)).round(3)
    assert refused(raw_of(np.unique(many)), onsets).code in ("E-MEG-34", "E-MEG-37")


def test_a_pause_of_the_recording_is_refused_with_both_offsets():
    onsets = onsets_of()
    places = 2 + onsets
    places[70:] -= 4.2
    problem = refused(raw_of(places), onsets)
    assert problem.code == "E-MEG-38" and "offset of 2.000 s" in problem.found and "one of -2.200 s" in problem.found
    assert f"words 71 to {N}" in problem.found


# ---- row 57: jitter and drift


def test_jitter_is_measured_against_the_planted_one():
    onsets = onsets_of(400)
    planted = jittered(400, 3)
    clock = aligned(raw_of(2 + onsets + planted), onsets, "triggers", jitter_ms=20)
    assert clock.facts["jitter_median_ms"] == pytest.approx(1e3 * np.median(np.abs(planted)), abs=0.3)
    assert clock.facts["jitter_max_ms"] == pytest.approx(1e3 * np.abs(planted).max(), abs=0.8)
    np.testing.assert_allclose(clock.jitter_s, planted, atol=1e-3)


@pytest.mark.parametrize("align", ["triggers", "affine"])
def test_single_late_triggers_are_told_and_many_are_refused(align):
    onsets = onsets_of()
    few = 2 + onsets
    few[[10, 20]] += [0.013, -0.018]
    (warning,) = aligned(raw_of(few), onsets, align).warnings
    assert warning.code == "W-MEG-35" and "word 21 (-18.0 ms), word 11 (+13.0 ms)" in warning.found
    many = 2 + onsets + np.random.default_rng(5).choice([-0.02, 0.02], N)
    problem = refused(raw_of(many), onsets, align)
    assert problem.code == "E-MEG-35" and problem.field == "jitter_ms" and "at most 10 ms" in problem.expected


def test_a_larger_jitter_is_accepted_where_the_study_says_so():
    onsets = onsets_of()
    many = 2 + onsets + np.random.default_rng(5).choice([-0.02, 0.02], N)
    assert aligned(raw_of(many), onsets, "triggers", jitter_ms=25).warnings == []


@pytest.mark.parametrize(("unit", "told"), [(1e3, "a word every"), (1.05, "ppm")])
def test_another_unit_or_stretched_sound_is_refused(unit, told):
    onsets = onsets_of()
    problem = refused(raw_of(2 + onsets), onsets * unit, "triggers")
    assert problem.code == "E-MEG-36" and told in problem.found and "seconds" in problem.fix


def test_another_unit_is_told_where_triggers_may_be_missing_too():
    onsets = onsets_of(2000)
    problem = refused(raw_of(2 + onsets[:-1]), onsets * 1e3)
    assert problem.code == "E-MEG-34" and "seconds" in problem.fix
    between = np.median(np.diff(onsets))
    assert f"a trigger every {between:.3g} s, a word every {1e3 * between:.3g} s" in problem.found


def test_one_missing_here_and_one_too_many_there_shows_in_the_jitter():
    onsets = onsets_of()
    moved = np.append(np.delete(2 + onsets, 10), 2 + onsets[-1] + 0.5)
    problem = refused(raw_of(moved), onsets, "triggers")
    assert (
        problem.code == "E-MEG-35"
        and f"words 12 to {N}" in problem.found
        and f"triggers 11 to {N - 1}" in problem.found
    )


# ---- row 58 and names


def test_two_triggers_at_one_sample_are_refused_by_row():
    raw = raw_of(2 + onsets_of(), as_annotations="word")
    twice = raw.annotations.onset[17]
    raw.set_annotations(raw.annotations + mne.Annotations([twice], 0.1, "word"))
    problem = refused(raw, onsets_of(), trigger="word")
    assert problem.code == "E-MEG-32" and problem.summary.startswith("1 samples")
    assert f"sample {round(twice * SFREQ)} ({twice:.3f} s): word no. 18 and word no. 19" in problem.found


def test_a_trigger_that_does_not_exist_is_refused_with_those_that_do():
    problem = refused(raw_of(2 + onsets_of()), onsets_of(), trigger="STI014")
    assert problem.code == "E-MEG-30" and problem.expected == f"STI101 with codes 5 ({N} times); no annotations"
    problem = refused(raw_of(2 + onsets_of(), as_annotations="word"), onsets_of(), trigger="words")
    assert f"annotations 'word' ({N} times)" in problem.expected


@pytest.mark.parametrize("codes", ["6", "5,6", "five"])
def test_a_code_that_never_comes_is_refused_with_those_that_do(codes):
    problem = refused(raw_of(2 + onsets_of()), onsets_of(), trigger=f"STI101:{codes}")
    assert problem.code == "E-MEG-31" and f"5 ({N} times)" in problem.expected


def test_a_silent_channel_is_refused():
    problem = refused(raw_of(2 + onsets_of(), as_annotations="word"), onsets_of())
    assert problem.code == "E-MEG-31" and problem.found == "no pulse in STI101"


REAL = DATA / "meg_eeg" / "EEGLAB" / "test_raw.set"


def real_events(kind: str, slope: float, offset_s: float) -> tuple[mne.io.BaseRaw, np.ndarray, np.ndarray]:
    """The real recording, when events of a kind come in it, and when they would on another clock."""
    raw = mne.io.read_raw_eeglab(REAL, verbose="ERROR")
    times_s = raw.annotations.onset[raw.annotations.description == kind]
    return raw, times_s, (times_s - offset_s) / slope


@pytest.mark.skipif(not REAL.is_file(), reason="the real recordings are not here")
@pytest.mark.parametrize("kind", ["rt", "square"])
def test_real_events_are_found_among_others_on_another_clock(kind):
    raw, times_s, onsets = real_events(kind, 1 + 120e-6, -4.5)
    clock = aligned(raw, onsets, "affine", ("square", "rt"))
    assert (clock.facts["n_matched"], clock.facts["n_extra"]) == (len(onsets), 154 - len(onsets))
    assert clock.facts["slope_ppm"] == pytest.approx(120, abs=10)
    # events lie at whole samples, 1/128 s apart
    np.testing.assert_allclose(at(clock, onsets), times_s, atol=0.5 / 128)


@pytest.mark.skipif(not REAL.is_file(), reason="the real recordings are not here")
def test_real_events_at_even_intervals_of_which_two_are_not_in_the_table_are_refused():
    raw, _, onsets = real_events("square", 1.0, 4.5)
    assert refused(raw, onsets[2:], "affine", ("square", "rt")).code == "E-MEG-37"


def test_the_same_recording_gives_the_same_clock():
    onsets = onsets_of()
    raw = raw_of(np.delete(2 + onsets, [4, 90]) + jittered(N - 2, 1))
    first, again = aligned(raw, onsets), aligned(raw, onsets)
    assert (first.slope, first.offset_s) == (again.slope, again.offset_s)
    np.testing.assert_array_equal(first.jitter_s, again.jitter_s)
