"""What is told of the fits: the ends of the alpha grid, and columns that add nothing."""

import numpy as np
import pytest
from test_encoding import SPLIT, settings, study

from pipeline.columns import Columns, columns_of
from pipeline.encoding import encode
from pipeline.fits import fits_of, problems
from pipeline.recordings import Arrays
from pipeline.report.tables import fits_table
from pipeline.scratch import Parts


def fitted(activations=None, recordings=None, parts=None, **changes):
    made = study()
    recordings, activations = recordings or made[0], activations or made[1]
    asked = settings(**changes)
    scores = encode(Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, asked, parts=parts)
    return fits_of("model", scores, asked.grid())


def spoilt(activations, *, constant=(), copies=()):
    """The same activations with some features made constant, and others equal to the first."""
    made = {}
    for run, ds in activations.items():
        values = ds["activations"].values.copy()
        values[..., list(constant)] = 3.7
        values[..., list(copies)] = values[..., :1]
        made[run] = ds.assign(activations=(ds["activations"].dims, values)).assign_attrs(ds.attrs)
    return made


@pytest.mark.parametrize(
    ("alphas", "end"), [((1e5, 1e9, 3), "smallest"), ((1e-6, 1e-3, 4), "largest")], ids=["too large", "too small"]
)
def test_a_grid_that_ends_too_early_is_told_with_a_wider_one(alphas, end):
    found = fitted(alphas=alphas)
    (problem,) = problems([found], "01")
    assert problem.code == "W-ENCODE-01" and problem.subject == "01" and problem.model == "model"
    assert f"{found.edge_share:.0%} of fits" in problem.found and found.edge_share > 0.05
    low, high, n = (float(x) for x in problem.fix[problem.fix.index("[") + 1 : problem.fix.index("]")].split(","))
    assert (low < alphas[0]) == (found.share[0] > 0.025) and (high > alphas[1]) == (found.share[-1] > 0.025)
    assert low < alphas[0] if end == "smallest" else high > alphas[1]
    assert np.log(high / low) / (n - 1) == pytest.approx(np.log(alphas[1] / alphas[0]) / (alphas[2] - 1), rel=0.01)


def test_a_few_fits_at_an_end_are_not_told():
    found = fitted()
    assert sum(found.share) == pytest.approx(1) and len(found.share) == 5
    assert problems([found._replace(edge_share=0.05)], "01") == []
    assert [p.code for p in problems([found._replace(edge_share=0.051)], "01")] == ["W-ENCODE-01"]


def test_the_histogram_has_a_bar_for_every_alpha():
    found = fitted()._replace(share=(0.0, 0.5, 0.25, 0.25, 0.0))
    assert fits_table([found], "").rows[0][2] == "·█▅▅·"


def test_constant_and_repeated_features_are_counted_and_told():
    _recordings, activations = study()
    # a word's constant is not constant on the clock, for words come at uneven times: two such are the word rate twice
    found = fitted(spoilt(activations, copies=(2,)))
    assert (found.n_columns, found.n_constant, found.n_repeated) == (6, 0, 2)
    (problem,) = [p for p in problems([found], "01") if p.code == "W-ENCODE-02"]
    assert "of 6 columns 2 the same as another" in problem.found
    found = fitted(
        {
            run: ds.assign(activations=ds["activations"] * [1, 1, 0]).assign_attrs(ds.attrs)
            for run, ds in activations.items()
        }
    )
    assert (found.n_constant, found.n_repeated) == (2, 0)
    assert "of 6 columns 2 constant" in problems([found], "01")[-1].found
    assert [p.code for p in problems([fitted(activations)], "01") if p.code == "W-ENCODE-02"] == []


def test_many_values_beyond_the_robust_limits_are_told_once():
    recordings, activations = study()
    scores = encode(Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings())
    n = scores.sizes["sample"]
    for share, told in ((0.005, []), (0.05, ["W-ENCODE-03"])):
        cut = np.array([[0, 0, 0, 0, share * n]])
        found = fits_of("model", scores.assign(clipped=(("fold", "target"), cut)), settings().grid())
        codes = [p.code for p in problems([found, found._replace(model="twin")], "01") if p.code == "W-ENCODE-03"]
        assert codes == told


def test_what_an_interrupted_job_had_counted_is_kept(tmp_path):
    _, activations = study()
    twice, record = spoilt(activations, copies=(1,)), {"stage": "encode", "settings": {}, "inputs": {}}
    first = fitted(twice, parts=Parts(tmp_path / "scores.nc", record))
    again = fitted(twice, parts=Parts(tmp_path / "scores.nc", record))
    assert again == first and first.n_repeated == 2


@pytest.mark.parametrize("seed", range(5))
def test_columns_are_counted_up_to_sign_and_only_then(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 400))
    X[:, 7], X[:, 11], X[:, 300] = X[:, 3], -X[:, 3], 0
    X[:, 20] = X[:, 21] + 1e-5 * rng.normal(size=300)  # nearly the same is not the same
    assert columns_of(X) == Columns(400, 1, 2)


def test_a_design_of_zeros_has_only_constant_columns():
    assert columns_of(np.zeros((10, 3))) == Columns(3, 3, 0)
