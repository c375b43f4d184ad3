"""What may explain a recording: language models, their untrained twins, and simple controls.

To add one: a file with a class that has `activations`, and a line in the table.
"""

from pipeline.models.base import Activations, Model, Token
from pipeline.models.controls import Oasm, Position, Tokens, WordLength, WordRate
from pipeline.models.transformer import Transformer

__all__ = ["MODELS", "Activations", "Model", "Token"]

MODELS: dict[str, type[Model]] = {
    "transformer": Transformer,
    "wordrate": WordRate,
    "wordlength": WordLength,
    "position": Position,
    "tokens": Tokens,
    "oasm": Oasm,
}
