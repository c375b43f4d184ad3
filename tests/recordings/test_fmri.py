"""`kind: fmri`: images become what nilearn makes of their voxels, and every damaged file is told by name."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.image import smooth_img
from nilearn.signal import clean as nilearn_clean
from scipy.signal import detrend

from pipeline.problems import Problem, StudyError
from pipeline.recordings import Cleaned
from pipeline.recordings.fmri import Fmri
from pipeline.runs import Run

SHAPE, N, TR = (6, 6, 5), 60, 2.0
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
HERE = (2, 3, 2)  # a voxel inside the mask
ENDINGS = (".nii", ".nii.gz")


def values(n: int = N, seed: int = 0) -> np.ndarray:
    """Noise on a slow drift on a baseline of 1000, as a scanner gives it."""
    noise = np.random.default_rng(seed).normal(size=(*SHAPE, n))
    return (1000 + 10 * noise + np.linspace(0, 30, n) + 20 * np.sin(np.arange(n) / 15)).astype(np.float32)


def inside() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[1:5, 1:5, 1:4] = True
    mask[1, 2, 3] = False  # no box
    return mask


def save(path: Path, data: np.ndarray, *, tr_s: float = TR, unit: str = "sec", affine: np.ndarray = AFFINE) -> str:
    image = nib.Nifti1Image(data, affine)
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
    image.header.set_xyzt_units("mm", unit)
    nib.save(image, path)
    return path.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of one image and its mask."""
    save(tmp_path / "a.nii.gz", values())
    save(tmp_path / "mask.nii.gz", inside().astype(np.uint8))
    return tmp_path


def run_of(*responses: str, tr_s: float | None = None, mask: str = "mask.nii.gz", start_s: float = 0.0) -> Run:
    return Run("01", "a", "bold", responses or ("a.nii.gz",), "words.tsv", tr_s=tr_s, mask=mask, start_s=start_s)


def cleaned(folder: Path, *responses: str, start_s: float = 0.0, **how: float) -> Cleaned:
    return Fmri(**how).clean(run_of(*responses, start_s=start_s), folder, ())


def refused(folder: Path, run: Run | None = None, *, how: str = "header") -> Problem:
    """The one problem, from `header`: told before any heavy step; `clean` when only reading to the end can tell."""
    with pytest.raises(StudyError) as told:
        Fmri().header(run or run_of(), folder) if how == "header" else Fmri().clean(run or run_of(), folder, ())
    (problem,) = told.value.problems
    assert problem.subject == "01" and problem.level == "error"
    assert problem.file and problem.found and problem.fix
    assert str(folder) not in str(problem)
    return problem


def by_hand(data: np.ndarray, high_pass: float | None = 0.008) -> np.ndarray:
    return nilearn_clean(
        data[inside()].T, detrend=True, standardize="zscore_sample", high_pass=high_pass, t_r=TR, filter="cosine"
    )


def other_voxels(*places: tuple[int, int, int]) -> np.ndarray:
    mask = inside()
    spared = np.ones(SHAPE, bool)
    spared[tuple(np.array(places).T)] = False
    return spared[mask]


# ---- what is computed


def test_an_image_becomes_what_nilearn_makes_of_its_voxels(folder):
    answer = cleaned(folder)
    np.testing.assert_allclose(answer.responses[0], by_hand(values()), atol=1e-6)
    np.testing.assert_allclose(answer.responses[0].std(axis=0, ddof=1), 1, atol=1e-5)
    assert (answer.tr_s, answer.warnings) == (TR, [])
    np.testing.assert_array_equal(answer.times_s, TR * np.arange(N))


def test_targets_are_named_by_their_voxel_in_the_order_of_the_columns(folder):
    data = values()
    data[HERE] = 1000 + 50 * np.cos(np.arange(N))
    save(folder / "a.nii.gz", data)
    answer = cleaned(folder, high_pass=0)
    assert len(answer.targets) == len(set(answer.targets)) == inside().sum()
    column = answer.responses[0, :, answer.targets.index("v2x3x2")]
    assert np.corrcoef(column, np.cos(np.arange(N)))[0, 1] > 0.99


def test_the_header_tells_volumes_voxels_and_spacing(folder):
    assert Fmri().header(run_of(), folder)[:3] == (N, inside().sum(), TR)


def test_without_a_high_pass_only_the_line_is_taken_away(folder):
    line_free = detrend(values()[inside()].T.astype(float), axis=0)
    answer = cleaned(folder, high_pass=0)
    np.testing.assert_allclose(answer.responses[0], line_free / line_free.std(axis=0, ddof=1), atol=1e-4)


def test_a_high_pass_removes_drifts_slower_than_itself(folder):
    time = np.arange(200) * TR
    data = values(200) * 0 + 1000 + 20 * np.sin(2 * np.pi * time / 400) + 5 * np.sin(2 * np.pi * time / 20)
    save(folder / "a.nii.gz", data.astype(np.float32))
    slow, fast = (np.sin(2 * np.pi * time / s) for s in (400, 20))
    kept, filtered = (cleaned(folder, high_pass=hz).responses[0, :, 0] for hz in (0, 0.02))
    assert abs(np.corrcoef(kept, slow)[0, 1]) > 0.5
    assert abs(np.corrcoef(filtered[20:-20], slow[20:-20])[0, 1]) < 0.1
    assert np.corrcoef(filtered[20:-20], fast[20:-20])[0, 1] > 0.95


def test_smoothing_is_nilearns_before_the_mask(folder):
    smooth = smooth_img(nib.Nifti1Image(values(), AFFINE), 5.0).get_fdata(dtype=np.float32)
    np.testing.assert_allclose(cleaned(folder, smoothing_mm=5).responses[0], by_hand(smooth), atol=1e-5)


def test_compression_changes_nothing(folder):
    save(folder / "b.nii", values())
    np.testing.assert_array_equal(cleaned(folder, "b.nii").responses, cleaned(folder).responses)


@pytest.mark.parametrize("smoothing", [None, 5.0])
@pytest.mark.parametrize("dtype", [">f4", "<f8", ">i2", "u2"])
def test_numbers_of_any_width_and_order_are_the_same_recording(folder, dtype, smoothing):
    whole = values().round()
    save(folder / "a.nii.gz", whole)
    image = nib.Nifti1Image(whole.astype(dtype), AFFINE, nib.Nifti1Header(endianness=">" if dtype[0] == ">" else "<"))
    image.set_data_dtype(dtype)
    image.header.set_zooms((3, 3, 3, TR))
    nib.save(image, folder / "b.nii")
    assert nib.load(folder / "b.nii").get_data_dtype() == np.dtype(dtype)
    np.testing.assert_allclose(
        cleaned(folder, "b.nii", smoothing_mm=smoothing).responses,
        cleaned(folder, smoothing_mm=smoothing).responses,
        atol=2e-4,
    )


def test_scaled_integers_equal_floats_within_their_rounding(folder):
    image = nib.Nifti1Image(values(), AFFINE)
    image.set_data_dtype(np.int16)
    image.header.set_zooms((3, 3, 3, TR))
    nib.save(image, folder / "b.nii")
    step = nib.load(folder / "b.nii").dataobj.slope
    assert step not in (0, 1)
    np.testing.assert_allclose(cleaned(folder, "b.nii").responses, cleaned(folder).responses, atol=step)


def test_a_left_handed_image_is_read_as_it_lies(folder):
    left = np.diag([-3.0, 3.0, 3.0, 1.0])
    straight = cleaned(folder)
    save(folder / "b.nii.gz", values(), affine=left)
    save(folder / "left.nii.gz", inside().astype(np.uint8), affine=left)
    answer = Fmri().clean(run_of("b.nii.gz", mask="left.nii.gz"), folder, ())
    np.testing.assert_array_equal(answer.responses, straight.responses)
    assert answer.targets == straight.targets


def test_start_s_shifts_the_times_and_nothing_else(folder):
    late = cleaned(folder, start_s=-6.5)
    np.testing.assert_array_equal(late.times_s, TR * np.arange(N) - 6.5)
    np.testing.assert_array_equal(late.responses, cleaned(folder).responses)


def test_presentations_are_cleaned_each_by_itself(folder):
    save(folder / "b.nii.gz", 3 * values(seed=1) + 500)
    both = cleaned(folder, "a.nii.gz", "b.nii.gz").responses
    np.testing.assert_array_equal(
        both, np.concatenate([cleaned(folder, f).responses for f in ("a.nii.gz", "b.nii.gz")])
    )


# ---- voxels that cannot be used


@pytest.mark.parametrize("smoothing", [None, 5.0])
@pytest.mark.parametrize("value", [0.0, 1234.567, -3e-5])
def test_a_constant_voxel_stays_constant_and_is_counted(folder, value, smoothing):
    data = values()
    data[:] = value if smoothing else data
    data[HERE] = value
    save(folder / "a.nii.gz", data)
    answer = cleaned(folder, smoothing_mm=smoothing)
    np.testing.assert_array_equal(answer.responses[0, :, answer.targets.index("v2x3x2")], 0)
    (warning,) = answer.warnings
    count = inside().sum() if smoothing else 1
    assert (warning.code, warning.level, warning.subject, warning.file) == ("W-FMRI-06", "warning", "01", "a.nii.gz")
    assert f"{count} of {inside().sum()} voxels" in warning.found


def test_a_voxel_that_moves_by_its_last_digit_is_constant(folder):
    data = values()
    data[HERE] = np.where(np.arange(N) % 2, np.float32(1000), np.nextafter(np.float32(1000), np.float32(2000)))
    save(folder / "a.nii.gz", data)
    answer = cleaned(folder)
    np.testing.assert_array_equal(answer.responses[0, :, answer.targets.index("v2x3x2")], 0)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("when", [[7], slice(None)], ids=["one volume", "all volumes"])
def test_a_voxel_with_a_hole_is_missing_and_the_others_do_not_change(folder, hole, when):
    whole, data = cleaned(folder), values()
    data[(*HERE, when)] = hole
    save(folder / "a.nii.gz", data)
    answer = cleaned(folder)
    others = other_voxels(HERE)
    assert np.isnan(answer.responses[0][:, ~others]).all()
    np.testing.assert_array_equal(answer.responses[0][:, others], whole.responses[0][:, others])
    (warning,) = answer.warnings
    assert (warning.code, warning.level, warning.subject, warning.file) == ("W-FMRI-05", "warning", "01", "a.nii.gz")
    n = 1 if when == [7] else N
    assert warning.found == f"{n} values in 1 of {inside().sum()} voxels, such as v2x3x2"


def test_a_hole_in_one_presentation_makes_the_voxel_missing_in_all(folder):
    data = values(seed=1)
    data[(*HERE, 3)] = np.nan
    save(folder / "b.nii.gz", data)
    answer = cleaned(folder, "a.nii.gz", "b.nii.gz")
    assert np.isnan(answer.responses[:, :, ~other_voxels(HERE)]).all()
    assert np.isfinite(answer.responses[:, :, other_voxels(HERE)]).all()


def test_smoothing_sees_a_voxel_with_a_hole_as_one_that_was_masked_by_hand(folder):
    data = values()
    data[HERE] = 0
    save(folder / "a.nii.gz", data)
    masked = cleaned(folder, smoothing_mm=5)
    data[HERE] = values()[HERE]
    data[(*HERE, 7)] = np.nan
    save(folder / "a.nii.gz", data)
    holed, others = cleaned(folder, smoothing_mm=5), other_voxels(HERE)
    np.testing.assert_array_equal(holed.responses[0][:, others], masked.responses[0][:, others])
    assert np.isnan(holed.responses[0][:, ~others]).all()


def test_holes_outside_the_mask_are_nobodys_business(folder):
    whole, data = cleaned(folder), values()
    data[0] = np.nan
    save(folder / "a.nii.gz", data)
    answer = cleaned(folder)
    np.testing.assert_array_equal(answer.responses, whole.responses)
    assert answer.warnings == []


def test_more_holes_than_one_voxel_in_twenty_are_refused(folder):
    data, places = values(), np.argwhere(inside())
    most = int(0.05 * len(places))
    for count in (most, most + 1):
        data[(*places[:count].T, 9)] = np.nan
        save(folder / "a.nii.gz", data)
        if count == most:
            assert np.isnan(cleaned(folder).responses[0, 0]).sum() == most
    problem = refused(folder, how="clean")
    assert (problem.code, problem.expected) == ("E-FMRI-05", "at most 5%")
    assert f"{most + 1} of {len(places)} voxels" in problem.found


# ---- time between volumes


def sidecar(folder: Path, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "a.json").write_text(text)


@pytest.mark.parametrize("tr_s", [0.72, 1.5, 2.0004])
def test_the_sidecar_is_the_exact_word_on_the_spacing(folder, tr_s):
    save(folder / "a.nii.gz", values(), tr_s=round(tr_s, 2))
    sidecar(folder, {"RepetitionTime": tr_s})
    assert Fmri().header(run_of(tr_s=None), folder).tr_s == tr_s


def test_a_header_that_says_nothing_leaves_the_spacing_to_the_table(folder):
    save(folder / "a.nii.gz", values(), tr_s=0)
    assert Fmri().header(run_of(tr_s=1.5), folder).tr_s == 1.5
    problem = refused(folder)
    assert (problem.code, problem.file, problem.field) == ("E-DATA-14", "runs.tsv", "tr_s")


def test_a_header_in_milliseconds_is_read_by_its_unit(folder):
    save(folder / "a.nii.gz", values(), tr_s=720, unit="msec")
    assert Fmri().header(run_of(), folder).tr_s == 0.72


@pytest.mark.parametrize(
    ("header", "side", "table", "told"),
    [
        (2.0, 1.5, None, ("2 s", "1.5 s", "a.json", "a.nii.gz")),
        (1.0, 2.0, None, ("1 s", "2 s", "a.json", "a.nii.gz")),
        (2.0, None, 1.5, ("2 s", "1.5 s", "runs.tsv", "a.nii.gz")),
        (2.0, 2.0, 1.5, ("2 s", "1.5 s", "runs.tsv", "a.json")),
        (0.0, 2.0, 1.5, ("2 s", "1.5 s", "runs.tsv", "a.json")),
        (2.0, 2.0, 2.002, ("2 s", "2.002 s", "runs.tsv", "a.json")),
    ],
)
def test_sources_that_disagree_on_the_spacing_are_named_with_both_values(folder, header, side, table, told):
    save(folder / "a.nii.gz", values(), tr_s=header)
    if side:
        sidecar(folder, {"RepetitionTime": side})
    problem = refused(folder, run_of(tr_s=table))
    assert problem.code == ("E-DATA-15" if table else "E-FMRI-10")
    assert all(part in f"{problem.found} {problem.file}" for part in told)


def test_sources_may_differ_by_half_a_millisecond(folder):
    sidecar(folder, {"RepetitionTime": 2.0005})
    assert Fmri().header(run_of(tr_s=2.0), folder).tr_s == 2.0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"RepetitionTime": 2.0', "line 1 column"),
        ("", "line 1 column"),
        ({"TaskName": "stories"}, "no RepetitionTime"),
        ([2.0], "no RepetitionTime"),
        ({"RepetitionTime": None}, "NoneType"),
        ({"RepetitionTime": "two"}, "two"),
        ({"RepetitionTime": -2.0}, "-2"),
        ({"RepetitionTime": 0}, "0"),
        ('{"RepetitionTime": NaN}', "nan"),
        ('{"RepetitionTime": Infinity}', "inf"),
    ],
)
def test_a_sidecar_without_a_usable_spacing_is_refused(folder, content, told):
    sidecar(folder, content)
    problem = refused(folder)
    assert (problem.code, problem.file, problem.field) == ("E-FMRI-11", "a.json", "RepetitionTime")
    assert told in problem.found


def test_a_spacing_in_milliseconds_is_told_as_such(folder):
    sidecar(folder, {"RepetitionTime": 2000})
    problem = refused(folder)
    assert (problem.code, problem.file, problem.found) == ("E-FMRI-11", "a.json", "2000")
    assert problem.why == "2000 looks like milliseconds" and problem.fix == "write 2"


def test_a_sidecar_is_named_by_its_place_in_the_data_set(folder):
    (folder / "sub-01").mkdir()
    save(folder / "sub-01" / "a.nii.gz", values())
    (folder / "sub-01" / "a.json").write_text("{}")
    assert refused(folder, run_of("sub-01/a.nii.gz")).file == "sub-01/a.json"


# ---- presentations


def test_presentations_of_another_length_are_refused_with_their_shapes(folder):
    save(folder / "b.nii.gz", values(N - 1))
    problem = refused(folder, run_of("a.nii.gz", "b.nii.gz"))
    assert (problem.code, problem.file) == ("E-FMRI-09", "a.nii.gz, b.nii.gz")
    assert "60 volumes" in problem.found and "59 volumes" in problem.found


def test_presentations_of_another_spacing_are_refused_with_both(folder):
    save(folder / "b.nii.gz", values(), tr_s=1.5)
    problem = refused(folder, run_of("a.nii.gz", "b.nii.gz"))
    assert (problem.code, problem.file) == ("E-FMRI-10", "a.nii.gz, b.nii.gz")
    assert "2.0" in problem.found and "1.5" in problem.found


def test_a_presentation_in_another_place_is_refused_by_its_name(folder):
    moved = AFFINE.copy()
    moved[0, 3] = 30
    save(folder / "b.nii.gz", values(), affine=moved)
    problem = refused(folder, run_of("a.nii.gz", "b.nii.gz"))
    assert problem.code == "E-FMRI-09" and "b.nii.gz" in problem.file and "30.0" in problem.found


# ---- files


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_truncated_image_is_refused_before_any_voxel_is_read(folder, ending, share):
    path = folder / f"a{ending}"
    save(path, values())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    problem = refused(folder, run_of(path.name))
    assert (problem.code, problem.file) == ("E-FMRI-01", path.name)
    assert f"{path.stat().st_size} bytes" in problem.found and "datalad get" in problem.fix


def test_an_image_that_was_cut_before_it_was_packed_is_refused(folder):
    raw = gzip.decompress((folder / "a.nii.gz").read_bytes())
    (folder / "a.nii.gz").write_bytes(gzip.compress(raw[:-1000]))
    problem = refused(folder)
    assert problem.code == "E-FMRI-01"
    assert str(len(raw)) in problem.found and str(len(raw) - 1000) in problem.found


def test_an_image_packed_in_several_pieces_is_read(folder):
    whole = cleaned(folder)
    raw = gzip.decompress((folder / "a.nii.gz").read_bytes())
    (folder / "a.nii.gz").write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]))
    np.testing.assert_array_equal(cleaned(folder).responses, whole.responses)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"../../.git/annex/objects/xX/MD5E-s1--0.nii.gz\n", "datalad get"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"no image at all" * 40, "damaged"),
        (gzip.compress(b"no image at all" * 40), "damaged"),
    ],
    ids=["empty", "html", "annex", "lfs", "text", "packed text"],
)
@pytest.mark.parametrize("of", ["image", "mask"])
def test_what_is_no_image_is_told_for_what_it_is(folder, ending, content, why, of):
    (folder / f"b{ending}").write_bytes(content)
    problem = refused(folder, run_of(f"b{ending}") if of == "image" else run_of(mask=f"b{ending}"))
    assert (problem.code, problem.file) == ("E-FMRI-03", f"b{ending}")
    assert why in problem.why and f"{len(content)} bytes" in problem.found and "datalad get" in problem.fix


@pytest.mark.parametrize("of", ["image", "mask"])
def test_a_file_that_is_not_there_is_called_missing(folder, of):
    problem = refused(folder, run_of("aa.nii.gz") if of == "image" else run_of(mask="maske.nii.gz"))
    assert problem.code == "E-FMRI-23" and "did you mean" in problem.fix


def test_a_link_to_content_that_was_not_fetched_is_told(folder):
    (folder / "b.nii.gz").symlink_to(folder / ".git" / "annex" / "objects" / "x")
    problem = refused(folder, run_of("b.nii.gz"))
    assert problem.code == "E-FMRI-23" and problem.fix == "datalad get b.nii.gz"


def flipped(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 16
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_flipped_bit_in_a_packed_image_is_caught_when_it_is_read(folder, share):
    flipped(folder / "a.nii.gz", int(share * (folder / "a.nii.gz").stat().st_size))
    problem = refused(folder, how="clean")
    # a flip in the code of a block may also unpack to a stream that never ends
    assert problem.code in ("E-FMRI-04", "E-FMRI-01") and problem.file == "a.nii.gz"
    assert "datalad get" in problem.fix


def test_a_flipped_bit_that_still_unpacks_is_caught_by_the_checksum(folder):
    raw = gzip.decompress((folder / "a.nii.gz").read_bytes())
    (folder / "a.nii.gz").write_bytes(gzip.compress(raw, compresslevel=0))  # stored: any flip unpacks to a number
    flipped(folder / "a.nii.gz", 20_000)
    assert Fmri().header(run_of(), folder).n_samples == N
    problem = refused(folder, how="clean")
    assert problem.code == "E-FMRI-04" and "CRC" in problem.found and "checksum" in problem.why


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (lambda f: save(f / "a.nii.gz", values()[..., 0]), "E-FMRI-13", "(6, 6, 5)"),
        (lambda f: save(f / "a.nii.gz", values(29)), "E-FMRI-16", "29 volumes"),
        (lambda f: save(f / "a.nii.gz", values().astype(np.complex64)), "E-FMRI-02", "complex64"),
        (lambda f: save(f / "mask.nii.gz", np.zeros(SHAPE, np.uint8)), "E-FMRI-07", "0 voxels"),
        (lambda f: save(f / "mask.nii.gz", np.random.default_rng(0).random(SHAPE)), "E-FMRI-07", "180 values"),
        (lambda f: save(f / "mask.nii.gz", np.where(inside(), np.nan, 0)), "E-FMRI-07", "nan"),
        (lambda f: save(f / "mask.nii.gz", np.ones((6, 6, 4), np.uint8)), "E-FMRI-08", "(6, 6, 4)"),
        (lambda f: flipped(f / "mask.nii.gz", -6), "E-FMRI-04", "mask.nii.gz"),
    ],
    ids=[
        "3-D",
        "short",
        "complex",
        "empty mask",
        "mask of shares",
        "mask of nan",
        "mask of another shape",
        "torn mask",
    ],
)
def test_an_image_or_mask_that_cannot_be_used_is_refused_by_the_header(
    folder: Path, spoil: Callable[[Path], object], code: str, told: str
):
    spoil(folder)
    problem = refused(folder)
    assert problem.code == code
    assert told in f"{problem.found} {problem.file}"


def test_thirty_volumes_are_enough(folder):
    save(folder / "a.nii.gz", values(30))
    assert cleaned(folder).responses.shape == (1, 30, inside().sum())


def test_a_run_without_a_mask_is_refused(folder):
    problem = refused(folder, run_of(mask=""))
    assert (problem.code, problem.file, problem.field) == ("E-FMRI-07", "runs.tsv", "mask")


def test_a_mask_on_another_grid_is_told_with_both_grids(folder):
    moved = AFFINE.copy()
    moved[:3, 3] = [30, 0, -12]
    save(folder / "mask.nii.gz", inside().astype(np.uint8), affine=moved)
    problem = refused(folder)
    assert (problem.code, problem.file) == ("E-FMRI-08", "mask.nii.gz")
    assert "[30.0, 0.0, -12.0]" in problem.found and "[0.0, 0.0, 0.0]" in problem.found


def test_a_mask_of_any_one_number_means_the_same(folder):
    whole = cleaned(folder)
    save(folder / "mask.nii.gz", inside() * np.float32(255))
    np.testing.assert_array_equal(cleaned(folder).responses, whole.responses)


def test_a_header_that_promises_too_much_takes_no_room(folder):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((30000, 30000, 30000, 3000))
    header.set_zooms((3, 3, 3, TR))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (folder / "b.nii").write_bytes(header.binaryblock + b"\0" * 100)
    problem = refused(folder, run_of("b.nii"))
    assert problem.code == "E-FMRI-01" and "648000000000000352" in problem.found
