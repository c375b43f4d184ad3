"""What a model explains that controls do not, what they share, and what is the controls' alone."""

from pipeline.partition.fits import Groups, Partition, partition
from pipeline.partition.people import group
from pipeline.partition.table import COLUMNS, table

__all__ = ["COLUMNS", "Groups", "Partition", "group", "partition", "table"]
