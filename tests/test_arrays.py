import json
import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import read_alike

from pipeline import arrays
from pipeline.problems import StudyError


def dataset(seed: int = 0) -> xr.Dataset:
    values = np.random.default_rng(seed).normal(size=(3, 40, 5)).astype("f4")
    facts = {"units": "1", "long_name": "activations"}
    return xr.Dataset({"activations": (("layer", "word", "feature"), values, facts)}, {"layer": [0, 1, 2]})


def save(ds, path, **inputs):
    arrays.save(ds, path, stage="test", settings={"alpha": 1}, inputs=inputs)


def test_what_is_saved_comes_back_with_its_record(tmp_path):
    (tmp_path / "input.txt").write_text("abc")
    save(dataset(), tmp_path / "a.nc", words=tmp_path / "input.txt")
    back = arrays.load(tmp_path / "a.nc", "layer", "word")
    xr.testing.assert_equal(back, dataset())
    made_by = arrays.attribute(back, "made_by")
    assert made_by["inputs"]["words"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert made_by == arrays.read_record(tmp_path / "a.nc")["made_by"]


def test_the_same_arrays_give_the_same_bytes_anywhere(tmp_path):
    for folder in ("one", "two"):
        save(dataset(), tmp_path / folder / "a.nc")
    assert (tmp_path / "one/a.nc").read_bytes() == (tmp_path / "two/a.nc").read_bytes()


@pytest.mark.parametrize("harm", ["empty", "half", "flip", "swap"])
@pytest.mark.parametrize("keep_time", [True, False])
def test_a_harmed_file_is_never_read(tmp_path, harm, keep_time):
    path = tmp_path / "a.nc"
    save(dataset(), path)
    save(dataset(1), tmp_path / "b.nc")
    before, raw = path.stat(), bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    flipped = bytes(raw)
    harmed = {"empty": b"", "half": flipped[: len(raw) // 2], "flip": flipped, "swap": (tmp_path / "b.nc").read_bytes()}
    path.write_bytes(harmed[harm])
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StudyError, match=r"a\.nc"):
        arrays.load(path)


FACTS = {"units": "1", "long_name": "x"}
ODD = {  # what a file may hold: arrays, coordinates, attributes of the whole
    "numbers of every kind": ({d: ("word", np.arange(3).astype(d), FACTS) for d in ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "bool")}, {}, {}),
    "missing numbers": ({"x": (("a", "b"), np.array([[np.nan, 1.0], [np.inf, -0.0]]), FACTS)}, {"a": [0.5, np.nan]}, {}),
    "texts": ({"x": ("word", ["", "ß", "n/a", "日本"], FACTS)}, {"word": list("abcd"), "text": ("word", ["a b", "", "NA", "é"], {"units": ""})}, {}),
    "axes of one and of none": ({"x": (("a", "b"), np.zeros((1, 0), "f4"), FACTS), "t": ("b", np.array([], "U1"), FACTS)}, {"a": ["one"]}, {}),
    "no axes": ({"x": ((), 3.5, FACTS), "t": ((), "text", FACTS)}, {"k": 2, "who": "01"}, {}),
    "labels of two axes": ({"x": (("a", "b"), np.zeros((2, 3)), FACTS)}, {"when": (("a", "b"), np.ones((2, 3)), FACTS), "loose": ("c", [1, 2])}, {}),
    "attributes": ({"x": ("a", [1.0], FACTS | {"many": ["a", "b"], "sizes": [1, 2], "blank": ""})}, {}, {"n": 3, "p": 0.5, "one": [7], "names": ["é"], "lowest": -np.inf}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_a_file_is_read_as_xarray_reads_it(tmp_path, kind):
    values, coords, about = ODD[kind]
    save(xr.Dataset(values, coords, about), tmp_path / "a.nc")
    read_alike(tmp_path / "a.nc")


def test_parts_of_a_large_file_are_read_when_they_are_asked_for(tmp_path):
    ds = dataset().isel(word=np.zeros(400_000, int))
    save(ds, tmp_path / "a.nc")
    with arrays.opened(tmp_path / "a.nc", "layer") as back:
        assert back["activations"].variable._in_memory is False
        xr.testing.assert_identical(back.isel(word=[3]).drop_attrs(deep=False), ds.isel(word=[3]))
    read_alike(tmp_path / "a.nc")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.nc"
    save(dataset(), path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), arrays.writing(path, stage="test", settings={}, inputs={}) as temp:
        temp.write_bytes(b"half")
        raise RuntimeError("killed")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_arrays_without_units_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no units"):
        save(xr.Dataset({"x": ("word", [1.0])}), tmp_path / "a.nc")


def test_a_missing_axis_is_named(tmp_path):
    save(dataset(), tmp_path / "a.nc")
    with pytest.raises(ValueError, match="target"):
        arrays.load(tmp_path / "a.nc", "target")


def test_words_that_look_like_missing_values_stay_words(tmp_path):
    frame = pd.DataFrame({"word": ["null", "NA", "nan", "", '"', "n/a", "007"], "x": [1.5, np.nan, 2, 3, 4, 5, 6]})
    arrays.save_table(frame, tmp_path / "t.tsv", stage="test", settings={}, inputs={})
    back = arrays.load_table(tmp_path / "t.tsv", text=("word",))
    assert back["word"].tolist() == frame["word"].tolist()
    np.testing.assert_array_equal(back["x"], frame["x"])
    assert "\tn/a\n" in (tmp_path / "t.tsv").read_text()


def test_a_record_holds_no_time_host_or_place(tmp_path):
    save(dataset(), tmp_path / "a.nc")
    text = json.dumps(arrays.read_record(tmp_path / "a.nc"))
    assert str(tmp_path) not in text
    assert os.uname().nodename not in text.split('"')


def test_a_full_disk_is_told_with_the_room_that_is_left(tmp_path, monkeypatch):
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StudyError, match="MiB free") as told:
        save(dataset(), tmp_path / "a.nc")
    assert told.value.exit_code == 5
