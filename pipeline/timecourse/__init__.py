"""When, not only where: scores of channels by latency, their peaks and clusters, and the same of a passive target."""

from pipeline.timecourse.clusters import CLUSTER_COLUMNS, Contrast, tested
from pipeline.timecourse.courses import Course, Person, courses, kinds, person, representative
from pipeline.timecourse.passive import PASSIVE_COLUMNS, Heard
from pipeline.timecourse.peak import Peak, peak
from pipeline.timecourse.people import GROUP_CLUSTER_COLUMNS, GROUP_LATENCY_COLUMNS, group_clusters, group_latencies
from pipeline.timecourse.saved import Member, asked, member, saved
from pipeline.timecourse.tables import LATENCY_COLUMNS, PEAK_COLUMNS, clusters, latencies, peaks

__all__ = [
    "CLUSTER_COLUMNS",
    "GROUP_CLUSTER_COLUMNS",
    "GROUP_LATENCY_COLUMNS",
    "LATENCY_COLUMNS",
    "PASSIVE_COLUMNS",
    "PEAK_COLUMNS",
    "Contrast",
    "Course",
    "Heard",
    "Member",
    "Peak",
    "Person",
    "asked",
    "clusters",
    "courses",
    "group_clusters",
    "group_latencies",
    "kinds",
    "latencies",
    "member",
    "peak",
    "peaks",
    "person",
    "representative",
    "saved",
    "tested",
]
