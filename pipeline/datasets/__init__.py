"""Where words and recordings come from: one file each; to add one, add a file and a line of the table."""

from pipeline.datasets.base import Dataset
from pipeline.datasets.bids import Bids
from pipeline.datasets.manifest import Manifest
from pipeline.datasets.synthetic import Synthetic

DATASETS: dict[str, type[Dataset]] = {"bids": Bids, "manifest": Manifest, "synthetic": Synthetic}

__all__ = ["DATASETS", "Dataset"]
