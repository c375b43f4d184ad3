"""What may explain a recording: language models, their untrained twins, and simple controls.

To add one: a file with a class that has `activations`, and a line in the table.
"""

from pipeline.models.audio import Audio
from pipeline.models.base import Activations, Model, Token
from pipeline.models.controls import Duration, Position, Tokens, WordLength, WordRate
from pipeline.models.events import Events
from pipeline.models.frequency import Frequency
from pipeline.models.oasm import Oasm
from pipeline.models.static import Static
from pipeline.models.surprisal import Surprisal
from pipeline.models.transformer import Transformer

__all__ = ["MODELS", "Activations", "Model", "Token"]

MODELS: dict[str, type[Model]] = {
    "transformer": Transformer,
    "surprisal": Surprisal,
    "wordrate": WordRate,
    "wordlength": WordLength,
    "duration": Duration,
    "frequency": Frequency,
    "position": Position,
    "static": Static,
    "tokens": Tokens,
    "oasm": Oasm,
    "events": Events,
    "audio": Audio,
}
