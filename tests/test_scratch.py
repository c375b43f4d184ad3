"""Room larger than memory, and layers that outlive the job that fitted them."""

import numpy as np
import pytest
from test_encoding import SPLIT, settings, study

from pipeline import encoding, ridge, scratch
from pipeline.encoding import encode
from pipeline.recordings import Arrays
from pipeline.scratch import Parts, room

RECORD = {"stage": "encode", "settings": {"alpha": 1}, "inputs": {"a": "0" * 64}}


def test_small_arrays_are_in_memory_and_large_ones_in_a_file_that_vanishes(tmp_path, monkeypatch):
    small = room((10, 3), np.float32, tmp_path)
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    large = room((10, 3), np.float32, tmp_path)
    assert (small.base is None, large.base is None) == (True, False)
    assert large.shape == (10, 3) and large.dtype == np.float32 and not large.any()
    large[4] = 2.5
    assert large[4].tolist() == [2.5] * 3
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_everything_is_in_memory(monkeypatch):
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    assert room((1000,), float, None).base is None


def test_a_layer_comes_back_as_it_was_kept(tmp_path):
    parts = Parts(tmp_path / "scores.nc", RECORD)
    assert parts.read(3) is None
    parts.write(3, {"r": np.arange(4.0), "path": np.array(["primal norms"])})
    back = Parts(tmp_path / "scores.nc", RECORD).read(3)
    assert back["r"].tolist() == [0, 1, 2, 3] and back["path"].tolist() == ["primal norms"]
    parts.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [{"settings": {"alpha": 2}}, {"inputs": {"a": "1" * 64}}, {"stage": "other"}],
    ids=lambda c: next(iter(c)),
)
def test_layers_of_other_settings_or_data_are_not_taken(tmp_path, changed):
    Parts(tmp_path / "scores.nc", RECORD).write(0, {"r": np.zeros(1)})
    assert Parts(tmp_path / "scores.nc", RECORD | changed).read(0) is None
    assert Parts(tmp_path / "scores.nc", RECORD).read(0) is None  # they are gone, too: nobody will ask for them


@pytest.mark.parametrize("harm", ["cut", "emptied", "flipped"])
def test_a_harmed_layer_counts_as_not_done(tmp_path, harm):
    parts = Parts(tmp_path / "scores.nc", RECORD)
    parts.write(0, {"r": np.random.default_rng(0).normal(size=500)})
    (file,) = parts.folder.glob("*.npz")
    whole = bytearray(file.read_bytes())
    whole[1000] ^= 255
    file.write_bytes({"cut": bytes(whole[:900]), "emptied": b"", "flipped": bytes(whole)}[harm])
    assert parts.read(0) is None


def test_an_interrupted_job_goes_on_at_the_layer_where_it_stopped(tmp_path, monkeypatch):
    recordings, activations = study(layers=2, seeds=2)
    arguments = (Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings())
    whole = encode(*arguments)
    original = encoding.designs
    fitted: list[int] = []

    def counted(*given):
        for index, design in zip(given[-1], original(*given), strict=True):
            fitted.append(index)
            if fitted == [0, 1, 2]:
                raise KeyboardInterrupt
            yield design

    monkeypatch.setattr(encoding, "designs", counted)
    with pytest.raises(KeyboardInterrupt):
        encode(*arguments, parts=Parts(tmp_path / "scores.nc", RECORD))
    resumed = encode(*arguments, parts=Parts(tmp_path / "scores.nc", RECORD))
    assert fitted == [0, 1, 2, 2, 3]
    assert resumed.identical(whole)


def test_responses_in_a_file_give_the_same_scores(tmp_path, monkeypatch):
    recordings, activations = study()
    arguments = (Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings(precision="float32"))
    whole = encode(*arguments)
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    mapped = encode(*arguments, parts=Parts(tmp_path / "scores.nc", RECORD))
    assert mapped.identical(whole)


@pytest.mark.parametrize("in_memory", [2**30, 100])
def test_a_target_with_missing_samples_is_left_out_wherever_it_lies(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(scratch, "IN_MEMORY", in_memory)
    recordings, activations = study()
    recordings["b"]["responses"][10, 2] = np.nan
    found = encode(Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings(), parts=Parts(tmp_path / "s", RECORD))  # fmt: skip
    for name in ("r", "r2", "alpha", "inner", "edge_share", "flat"):
        assert np.isnan(found[name].values[..., 2]).all(), name
        assert np.isfinite(found[name].values[..., [0, 1, 3, 4]]).all(), name


def test_the_device_and_the_precision_of_the_study_reach_the_engine(monkeypatch):
    asked: dict = {}
    original = ridge.each_layer
    monkeypatch.setattr(ridge, "each_layer", lambda *a, **k: asked.update(k) or original(*a, **(k | {"device": "cpu"})))
    recordings, activations = study()
    encode(Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings(precision="mixed", device="cuda"))
    assert (asked["precision"], asked["device"]) == ("mixed", "cuda")
