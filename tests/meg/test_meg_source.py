"""From sensors to sources, held against MNE's own inverse and against a dipole whose place is known."""

from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from pipeline.datasets.simulate_sensors import helmet
from pipeline.problems import StudyError
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.signal import UNITS, Signal
from pipeline.recordings.meg.source import NO_PLACES, operator, projected
from pipeline.runs import Run

SFREQ, N = 100.0, 400
RUN = Run("07", "a", "meg", ("a_meg.fif",), "words.tsv")
MIDDLE = np.array([0.0, 0.0, 0.048])


def info_of(kinds: str) -> mne.Info:
    """Magnetometers and gradiometers of a helmet, or a cap of EEG."""
    if kinds == "meg":
        return helmet(("mag", "grad"), 2, SFREQ)
    montage = mne.channels.make_standard_montage("biosemi32", head_size=0.09)
    names = montage.ch_names
    info = mne.create_info(names, SFREQ, "eeg")
    blank = mne.io.RawArray(np.zeros((len(names), 1)), info, verbose="ERROR").set_montage(montage, verbose="ERROR")
    return blank.info


def conductor(kinds: str) -> mne.bem.ConductorModel:
    """The head: a sphere, for EEG in layers."""
    return mne.make_sphere_model(r0=MIDDLE, head_radius=None if kinds == "meg" else 0.09, verbose="ERROR")


def half(radius: float, n: int, side: int) -> dict:
    """One side of a sphere around the middle of the head, a closed surface."""
    step = np.pi * (3 - np.sqrt(5))
    z = 1 - 2 * (np.arange(n) + 0.5) / n
    angle, flat = step * np.arange(n), np.sqrt(1 - z**2)
    nn = np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)
    nn = nn[side * nn[:, 0] > 0.05]
    along = np.cross(nn, [0.0, 0.0, 1.0])  # a cortex folds: MEG would not see currents that point away from the middle
    folded = along / np.linalg.norm(along, axis=1, keepdims=True) + 0.3 * nn
    folded /= np.linalg.norm(folded, axis=1, keepdims=True)
    return dict(rr=radius * nn + MIDDLE, nn=folded, tris=ConvexHull(nn).simplices)


def surface_sources(n: int = 300) -> mne.SourceSpaces:
    """Left and right, two thirds of whose vertices are sources."""
    found = []
    for side, ident in ((-1, 101), (1, 102)):
        one = half(0.06, n, side)
        inuse = np.ones(len(one["rr"]), int)
        inuse[::3] = 0
        found.append(
            dict(type="surf", id=ident, np=len(inuse), ntri=len(one["tris"]), coord_frame=5, rr=one["rr"], nn=one["nn"],
                 tris=one["tris"], inuse=inuse, nuse=int(inuse.sum()), vertno=np.flatnonzero(inuse), nuse_tri=0, use_tris=None,
                 nearest=None, nearest_dist=None, pinfo=None, patch_inds=None, dist=None, dist_limit=None, subject_his_id="07")
        )  # fmt: skip
    return mne.SourceSpaces(found)


def volume_sources(least_m: float) -> mne.SourceSpaces:
    """A grid in the head, as far from its middle as a cortex is; dSPM would move what lies above into the depth."""
    return mne.setup_volume_source_space(
        pos=16.0, sphere=(*MIDDLE, 0.075), mindist=0.0, exclude=1000 * least_m, verbose="ERROR"
    )


def made(folder: Path, kinds: str, space: str, least_m: float = 0.045) -> tuple[mne.Info, mne.Forward]:
    """A forward solution in a sphere, written where a study would have it."""
    info = info_of(kinds)
    model = conductor(kinds)
    src = surface_sources() if space == "surface" else volume_sources(least_m)
    trans = mne.transforms.Transform("head", "mri")
    forward = mne.make_forward_solution(info, trans, src, model, verbose="ERROR")
    mne.write_forward_solution(folder / "07-fwd.fif", forward, overwrite=True, verbose="ERROR")
    return info, mne.read_forward_solution(folder / "07-fwd.fif", verbose="ERROR")


@pytest.fixture(scope="module", params=[("meg", "surface"), ("meg", "volume"), ("eeg", "volume")], ids="-".join)
def system(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    return (folder, *request.param, *made(folder, *request.param))


@pytest.fixture(scope="module")
def cortex(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cortex")
    return (folder, *made(folder, "meg", "surface"))


def meg(**source) -> Meg:
    return Meg(sfreq=SFREQ, source={"forward": "{subject}-fwd.fif"} | source)


def channels(info: mne.Info) -> Channels:
    kinds = tuple(info.get_channel_types())
    return Channels(tuple(info["ch_names"]), kinds, np.zeros((len(kinds), 12)), "")


def signal(info: mne.Info, si: np.ndarray, bad: tuple[str, ...] = ()) -> Signal:
    factors = np.array([UNITS[kind][1] for kind in info.get_channel_types()])
    freqs = np.linspace(0, 40, 20)
    psd = np.ones((len(si), 20))
    values = (si * factors[:, None]).astype(np.float32)
    return Signal(values, SFREQ, np.isin(info["ch_names"], bad), [(1.0, 2.0)], freqs, psd, psd, [], {"file": "a"}, [])


def noise(info: mne.Info, seed: int = 0) -> np.ndarray:
    """As strong as the sensors' own."""
    size = {"mag": 20e-15, "grad": 5e-13, "eeg": 0.2e-6}
    scale = np.array([size[kind] for kind in info.get_channel_types()])
    return scale[:, None] * np.random.default_rng(seed).normal(size=(len(scale), N))


def dipole(info: mne.Info, kinds: str, at: np.ndarray, along: np.ndarray) -> np.ndarray:
    """What the sensors show of 50 nAm."""
    model = conductor(kinds)
    one = mne.Dipole([0.0], at[None], [50e-9], along[None] / np.linalg.norm(along), [100.0])
    forward, _ = mne.make_forward_dipole(one, model, info, verbose="ERROR")
    return 50e-9 * forward["sol"]["data"][:, 0]


def refusal(done) -> str:
    with pytest.raises(StudyError) as caught:
        done()
    return str(caught.value)


def mnes_own(info: mne.Info, forward: mne.Forward, si: np.ndarray, free: bool, bads: tuple[str, ...] = ()):
    """apply_inverse_raw, as its manual does it."""
    raw = mne.io.RawArray(si, info, verbose="ERROR")
    raw.info["bads"] = list(bads)
    if "eeg" in raw:
        raw.set_eeg_reference(projection=True, verbose="ERROR")
    cov = mne.make_ad_hoc_cov(raw.info, verbose="ERROR")
    inverse = mne.minimum_norm.make_inverse_operator(raw.info, forward, cov, verbose="ERROR")
    return mne.minimum_norm.apply_inverse_raw(
        raw, inverse, 1 / 9, "dSPM", pick_ori=None if free else "normal", verbose="ERROR"
    )


def test_sources_are_those_of_mnes_inverse(system):
    folder, _, space, info, forward = system
    si = noise(info)
    found, named = projected(meg(), signal(info, si), channels(info), info, RUN, folder)
    expected = mnes_own(info, forward, si, space == "volume").data
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * np.abs(expected).max())
    assert not found.bad.any() and not found.warnings
    assert found.values.dtype == np.float32 and len(set(named.names)) == len(named.names) == len(expected)


def test_a_planted_dipole_is_found_within_two_centimetres(system):
    folder, kinds, space, info, forward = system
    rr = np.vstack([s["rr"][s["vertno"]] for s in forward["src"]])
    nn = np.vstack([s["nn"][s["vertno"]] for s in forward["src"]])
    off = []
    for at in (np.array([-0.04, 0.02, 0.075]), np.array([0.045, -0.02, 0.07])):
        along = np.cross(at - MIDDLE, [0.0, 0.0, 1.0])  # along the surface of the head, where MEG sees it
        if space == "surface":  # there the current is that of one of the sources
            nearest = np.linalg.norm(rr - at, axis=1).argmin()
            at, along = rr[nearest], nn[nearest]
        si = 0.1 * noise(info) + dipole(info, kinds, at, along)[:, None] * np.sin(np.arange(N) / 9)
        found, _ = projected(meg(), signal(info, si), channels(info), info, RUN, folder)
        off.append(np.linalg.norm(rr[(found.values**2).mean(axis=1).argmax()] - at))
    assert all(distance < 0.02 for distance in off)


def test_a_source_that_no_sensor_sees_is_missing_and_told(tmp_path):
    info, forward = made(tmp_path, "meg", "volume", least_m=0.0)
    found, named = projected(meg(), signal(info, noise(info)), channels(info), info, RUN, tmp_path)
    middle = np.linalg.norm(forward["source_rr"] - MIDDLE, axis=1).argmin()
    assert np.flatnonzero(found.bad).tolist() == [middle]
    (warning,) = found.warnings
    assert warning.code == "W-MEG-60" and named.names[middle] in warning.found and "1 of" in warning.found


def test_bad_sensors_are_left_out_whatever_they_hold(cortex):
    folder, info, forward = cortex
    si, bads = noise(info), (info["ch_names"][3], info["ch_names"][40])
    wild = si.copy()
    wild[[3, 40]] = np.nan
    found, _ = projected(meg(), signal(info, wild, bads), channels(info), info, RUN, folder)
    expected = mnes_own(info, forward, si, False, bads).data
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * np.abs(expected).max())
    assert not found.bad.any()
    assert f"{len(si) - 2} sensors to {len(expected)} sources" in found.steps[-1]["told"]


def labels(folder: Path, src: mne.SourceSpaces) -> list[mne.Label]:
    """The upper part of each half, and its front."""
    written = []
    for name, hemi, axis in (("top", 0, 2), ("top", 1, 2), ("front", 1, 1)):
        vertices = np.flatnonzero((src[hemi]["rr"] - MIDDLE)[:, axis] > 0.02)
        side = ("lh", "rh")[hemi]
        label = mne.Label(vertices, src[hemi]["rr"][vertices], hemi=side, name=f"{name}-{side}", subject="07")
        label.save(folder / f"{name}-{side}.label")
        written.append(label)
    return written


def test_labels_are_mnes_signed_means(cortex):
    folder, info, forward = cortex
    own = labels(folder, forward["src"])
    names = [f"{label.name}.label" for label in own]
    found, named = projected(meg(labels=names), signal(info, noise(info)), channels(info), info, RUN, folder)
    stc = mnes_own(info, forward, noise(info), False)
    expected = mne.extract_label_time_course(stc, own, forward["src"], mode="mean_flip", verbose="ERROR")
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * np.abs(expected).max())
    assert named.names == ("top-lh", "top-rh", "front-rh") and named.kinds == ("label",) * 3
    assert "3 labels (mean_flip)" in found.steps[-1]["told"] and found.facts["kinds"] == {"label": 3}


def test_targets_have_no_place_among_the_sensors_and_the_time_stays(cortex):
    folder, info, _ = cortex
    before = signal(info, noise(info))
    found, named = projected(meg(), before, channels(info), info, RUN, folder)
    assert np.isnan(named.loc).all() and named.why_no_places == NO_PLACES
    assert found.sfreq == before.sfreq and found.bad_spans == before.bad_spans
    assert found.psd_after.shape == found.psd_before.shape == (len(named.names), 20)
    assert np.isfinite(found.psd_after).all() and (found.psd_after > 0).any()
    assert found.steps[-1]["step"] == "source projection" and found.facts["steps"] == found.steps and not before.steps


def test_twice_the_field_is_twice_the_source_and_the_snr_counts(cortex):
    folder, info, _ = cortex
    si = noise(info)
    one, two = (projected(meg(), signal(info, k * si), channels(info), info, RUN, folder)[0].values for k in (1, 2))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-4, atol=1e-4 * np.abs(two).max())
    other = projected(meg(snr=1.0), signal(info, si), channels(info), info, RUN, folder)[0].values
    assert np.abs(other - one).max() > 0.05 * np.abs(one).max()


def test_the_noise_covariance_that_is_named_is_used(cortex):
    folder, info, _ = cortex
    si = noise(info)
    louder = mne.make_ad_hoc_cov(info, verbose="ERROR")
    louder["data"] = louder["data"] * 4
    mne.write_cov(folder / "07-cov.fif", louder, overwrite=True, verbose="ERROR")
    plain = operator(meg(), signal(info, si), channels(info), info, RUN, folder).matrix
    found = operator(meg(noise_cov="{subject}-cov.fif"), signal(info, si), channels(info), info, RUN, folder).matrix
    np.testing.assert_allclose(found, plain / 2, rtol=1e-5, atol=1e-9 * np.abs(plain).max())


def test_files_that_are_missing_or_something_else_are_refused_by_name(cortex):
    folder, info, _ = cortex
    (folder / "text-fwd.fif").write_text("not a forward solution")
    for source, name in (
        (dict(forward="nowhere-fwd.fif"), "nowhere-fwd.fif"),
        (dict(forward="text-fwd.fif"), "text-fwd.fif"),
        (dict(noise_cov="none-cov.fif"), "none-cov.fif"),
        (dict(labels=["none-lh.label"]), "none-lh.label"),
    ):
        said = refusal(
            lambda s=source: projected(meg(**s), signal(info, noise(info)), channels(info), info, RUN, folder)
        )
        assert "E-MEG-60" in said and name in said and str(folder) not in said


def test_a_forward_solution_of_another_system_is_refused(cortex):
    folder, _, _ = cortex
    cap = info_of("eeg")
    said = refusal(lambda: projected(meg(), signal(cap, noise(cap)), channels(cap), cap, RUN, folder))
    assert "E-MEG-61" in said and "07-fwd.fif" in said and "source.forward" in said and "Fp1" in said


def test_a_covariance_of_fewer_sensors_is_refused(cortex):
    folder, info, _ = cortex
    part = mne.pick_info(info, np.arange(20))
    mne.write_cov(folder / "part-cov.fif", mne.make_ad_hoc_cov(part, verbose="ERROR"), overwrite=True, verbose="ERROR")
    chosen = meg(noise_cov="part-cov.fif")
    said = refusal(lambda: projected(chosen, signal(info, noise(info)), channels(info), info, RUN, folder))
    assert "E-MEG-62" in said and "part-cov.fif" in said and f"{len(info['ch_names']) - 20} missing" in said


def test_labels_without_sources_are_refused(cortex, tmp_path):
    folder, info, forward = cortex
    unused = np.flatnonzero(forward["src"][0]["inuse"] == 0)[:5]
    mne.Label(unused, hemi="lh", name="gap-lh", subject="07").save(folder / "gap-lh.label")
    chosen = meg(labels=["gap-lh.label"])
    said = refusal(lambda: projected(chosen, signal(info, noise(info)), channels(info), info, RUN, folder))
    assert "E-MEG-63" in said and "gap-lh.label" in said
    info, _ = made(tmp_path, "eeg", "volume")
    (tmp_path / "gap-lh.label").write_bytes((folder / "gap-lh.label").read_bytes())
    said = refusal(lambda: projected(chosen, signal(info, noise(info)), channels(info), info, RUN, tmp_path))
    assert "E-MEG-63" in said and "source space: discrete" in said
