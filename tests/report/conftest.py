import pytest
from markupsafe import Markup

from pipeline.report import drawn
from pipeline.report.figures import Picture


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without the seconds that drawing takes."""

    def picture(build, *, alt, caption, leaky=False):
        return Picture(Markup(""), alt, ("LEAKY SPLIT: NOT EVIDENCE. " if leaky else "") + caption)

    monkeypatch.setattr(drawn, "picture", picture)
