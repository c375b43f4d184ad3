"""A small study in a temporary folder, and the command as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from pipeline import netcdf

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("BRAINALIGN_DATA", REPOSITORY.parent / "shared" / "data"))


def brainalign(*arguments: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a user calls it."""
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def read_alike(path: Path) -> None:
    """A file is to our reader what it is to xarray's, to the order of its parts and the kind of every number."""
    import xarray as xr

    ours, theirs = netcdf.read(path), xr.load_dataset(path, engine="h5netcdf")
    xr.testing.assert_identical(ours, theirs)
    assert list(ours.variables) == list(theirs.variables) and list(ours.attrs) == list(theirs.attrs)
    assert list(ours.sizes.items()) == list(theirs.sizes.items()) and netcdf.sizes(path) == dict(theirs.sizes)
    for name, array in theirs.variables.items():
        assert ours[name].dtype == array.dtype and type(ours[name].data) is type(array.data)
        assert {k: type(v) for k, v in ours[name].attrs.items()} == {k: type(v) for k, v in array.attrs.items()}
    assert {k: v.dtype for k, v in ours.indexes.items()} == {k: v.dtype for k, v in theirs.indexes.items()}


class Laboratory:
    """A small `manifest` data set and a study of it, to be spoilt in one place at a time.

    Targets 0-3 follow the word rate two samples later, 4-5 are noise. Words
    come in bursts, so that their rate varies.
    """

    subjects, stories, n_samples, tr_s = ("01", "02"), ("a", "b", "c"), 120, 2.0

    def __init__(self, root: Path):
        self.root, self.data, self.study = root, root / "lab", root / "study.yaml"
        (self.data / "words").mkdir(parents=True)
        rows = ["subject\trun\trecording\tresponses\twords\tsplit\ttr_s"]
        for k, story in enumerate(self.stories):
            rng = np.random.default_rng(k)
            onsets = np.sort(rng.uniform(0, self.n_samples * self.tr_s - 1, 400))
            onsets = onsets[np.append(np.diff(onsets) > 0.15, True)]
            onsets = onsets[(np.sin(onsets / 7) + rng.normal(size=len(onsets)) * 0.3) > -0.2].round(3)
            self.words(story, [(t, 0.1, f"word{i % 17}") for i, t in enumerate(onsets)])
            rate = np.histogram(onsets, np.arange(self.n_samples + 1) * self.tr_s)[0]
            for subject in self.subjects:
                rng = np.random.default_rng([k, int(subject)])
                Y = rng.normal(size=(self.n_samples, 6))
                Y[2:, :4] += 1.5 * ((rate - rate.mean()) / rate.std())[:-2, None]
                path = self.data / f"sub-{subject}" / f"{story}.npy"
                path.parent.mkdir(exist_ok=True)
                np.save(path, Y.astype(np.float32))
                split = "test" if story == "c" else "train"
                rows.append(
                    f"{subject}\t{story}\tbold\tsub-{subject}/{story}.npy\twords/{story}.tsv\t{split}\t{self.tr_s}"
                )
        self.runs("\n".join(rows))
        names = [f"t{i}\t{'driven' if i < 4 else 'noise'}" for i in range(6)]
        (self.data / "targets.tsv").write_text("\n".join(["target\troi", *names]) + "\n")
        self.write_study()

    def words(self, story: str, rows: list[tuple], header: str = "onset\tduration\tword") -> Path:
        path = self.data / "words" / f"{story}.tsv"
        path.write_text("\n".join([header, *("\t".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
        return path

    def runs(self, text: str) -> None:
        (self.data / "runs.tsv").write_text(text.rstrip("\n") + "\n", encoding="utf-8")

    def runs_text(self) -> str:
        return (self.data / "runs.tsv").read_text(encoding="utf-8")

    def write_study(self, **sections: str) -> None:
        parts = {
            "study": "lab", "dataset": "{kind: manifest, root: lab}", "recordings": "{bold: {kind: arrays, delays: [1, 2, 3]}}",
            "models": "{rate: {kind: wordrate}, length: {kind: wordlength}}",
            "encoding": "{alphas: [1, 1.0e+4, 5], split: given, inner_folds: 2}",
            "comparison": "{contrasts: [[rate, length]], permutations: 200}", "report": "{lag_scan: none}",
        }  # fmt: skip
        parts |= sections
        self.study.write_text("".join(f"{key}: {value}\n" for key, value in parts.items()), encoding="utf-8")

    def run(self, verb: str, *options: object) -> subprocess.CompletedProcess[str]:
        return brainalign(verb, self.study.name, *options, cwd=self.root)
