"""What all figures share: palette, style, text that stays text, and the way into a page.

Figures are drawn with the object API on their own canvas: no global state, no
display. The same data give the same bytes.
"""

import base64
import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image

from pipeline.report.words import shorten

# Okabe & Ito (2008): told apart with any colour vision; their yellow is too pale for lines on white
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#000000")
GREY, DARK = "#767676", "#333333"
LIGHTS = {"green": "#00664B", "amber": "#8A5A00", "red": "#B00020"}  # as on the page, dark enough for text

WIDTH_IN = 9.2
LARGEST_BYTES = 150_000
LEAKY = "LEAKY SPLIT: NOT EVIDENCE"

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that pages are the same on every machine
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": DARK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": DARK,
    "ytick.color": DARK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


class Picture(NamedTuple):
    """A figure in a page: its data address, words for those who do not see it, or why it could not be drawn."""

    src: Markup
    alt: str
    caption: str
    problem: str = ""
    width: int = 0
    height: int = 0


def picture(build: Callable[[], Figure], *, alt: str, caption: str, leaky: bool = False) -> Picture:
    """Draw a figure for a page; one that cannot be drawn tells its reason there and breaks nothing else."""
    caption = f"{LEAKY}. {caption}" if leaky else caption
    try:
        with matplotlib.style.context(["default", _STYLE]):
            figure = build()
            if leaky:
                stamp(figure)
            data, width, height = _png(figure)
    except Exception as error:  # a page without one figure is worth more than no page
        return Picture(Markup(""), alt, caption, f"{type(error).__name__}: {error}")
    return Picture(Markup("data:image/png;base64," + base64.b64encode(data).decode()), alt, caption, "", width, height)  # noqa: S704


def new_figure(height_in: float) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def write(axes: Axes, x: float, y: float, text: str, **options: Any) -> None:
    """Text that is never read as mathematics: a $ in a name stays a $."""
    axes.text(x, y, plain(text), parse_math=False, **options)


def title(axes: Axes, text: str) -> None:
    axes.set_title(plain(text, 100), parse_math=False)


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], **options: Any) -> None:
    """A legend outside the data; its labels are names, not mathematics."""
    drawn = figure.legend(list(handles), [plain(label) for label in labels], **options)
    for text in drawn.get_texts():
        text.set_parse_math(False)


def plain(text: str, limit: int = 60) -> str:
    """One line in characters the font has; others become a box, and nothing warns or fails."""
    known = _known_characters()
    return "".join(c if ord(c) in known else "□" for c in shorten(text, limit))


def drawable(text: str) -> bool:
    """True when the font has every character."""
    return all(ord(c) in _known_characters() for c in text)


def spread(values: Sequence[float] | np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Places for labels near their values, at least `gap` apart and inside [low, high].

    The least squares solution: with the wanted distances taken off, keeping
    the order is an isotonic regression. Too many labels share the room evenly.
    """
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(values, float)
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order, steps = np.argsort(wanted, kind="stable"), gap * np.arange(len(wanted))
    if not len(wanted):
        return wanted
    fitted = np.clip(isotonic_regression(wanted[order] - steps).x, low, high - steps[-1]) + steps
    places = np.empty_like(wanted)
    places[order] = fitted
    return places


def stamp(figure: Figure) -> None:
    """Say on the picture itself that the split leaked, for when it travels without its page."""
    style = {"facecolor": "#B00020", "edgecolor": "none", "pad": 4}
    figure.text(0.995, 0.01, LEAKY, color="white", weight="bold", size=10, ha="right", va="bottom", bbox=style)


def _png(figure: Figure) -> tuple[bytes, int, int]:
    """PNG with a palette: a third of the size, and nothing but the picture in it.

    A colour scale must keep its rare colours too (a few sensors below 0 among
    many above it), which a median cut would merge into their neighbours.
    """
    palette = (256, Image.Quantize.MAXCOVERAGE) if _has_scale(figure) else (128, Image.Quantize.MEDIANCUT)
    for dpi in (140, 110, 80, 50):
        target = io.BytesIO()
        figure.set_dpi(dpi)
        figure.canvas.draw()
        image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
        image.quantize(palette[0], method=palette[1], dither=Image.Dither.NONE).save(target, "png", optimize=True)
        if target.tell() <= LARGEST_BYTES:
            break
    return target.getvalue(), *image.size


def _has_scale(figure: Figure) -> bool:
    """True where colours stand for numbers."""
    return any(isinstance(c, QuadMesh) for axes in figure.axes for c in axes.collections)


@functools.cache
def _known_characters() -> frozenset[int]:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(font_manager.get_font(str(path)).get_charmap())
