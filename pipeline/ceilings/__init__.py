"""How well any model could do: the noise of the recording sets the limit, not the model.

What differs between two presentations of the same stimulus cannot be
predicted from the stimulus. A score is only given as a share of what can,
and only where that is more than nothing.

Every estimate takes (presentation, sample, target), or people in the place of
presentations, and answers with a `Ceiling`, one number per target:

repeats, splithalf, nsd : the mean over a person's presentations.
isc, shared_response : one presentation to one person, limited to what people share.
schrimpf : as published, for comparison with published numbers only.
rsa.bounds : similarity of distances, for all targets together.
"""

from pipeline.ceilings import rsa
from pipeline.ceilings.across import isc, isc_curve
from pipeline.ceilings.answer import Ceiling, none
from pipeline.ceilings.nsd import nsd
from pipeline.ceilings.repeats import repeats
from pipeline.ceilings.schrimpf import schrimpf
from pipeline.ceilings.shared import among_people, shared_response
from pipeline.ceilings.splithalf import splithalf

CEILINGS = {
    "repeats": repeats,
    "splithalf": splithalf,
    "nsd": nsd,
    "isc": isc,
    "shared_response": among_people,
    "schrimpf": schrimpf,
    "none": none,
}

__all__ = [
    "CEILINGS",
    "Ceiling",
    "isc",
    "isc_curve",
    "none",
    "nsd",
    "repeats",
    "rsa",
    "schrimpf",
    "shared_response",
    "splithalf",
]
