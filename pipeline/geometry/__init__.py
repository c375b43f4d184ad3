"""The shape of a representation: which samples lie near each other, and along how many directions.

Two representations are compared without a map between them: by their inner
products (`cka`), their nearest neighbours (`mutual_knn`) or their distances
(`rdm`). In a time series neighbouring samples are alike whatever they
represent; `apart` and `run` keep them out of distances and neighbours.
"""

from pipeline.geometry.alignment import cka
from pipeline.geometry.distances import DISTANCES, pairs, rdm
from pipeline.geometry.neighbours import mutual_knn, mutual_knn_chance
from pipeline.geometry.spectra import effective_rank, participation_ratio, projected, spectrum, truncate

__all__ = [
    "DISTANCES",
    "cka",
    "effective_rank",
    "mutual_knn",
    "mutual_knn_chance",
    "pairs",
    "participation_ratio",
    "projected",
    "rdm",
    "spectrum",
    "truncate",
]
