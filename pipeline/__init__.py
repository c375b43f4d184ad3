"""How much of a brain recording does a language model's layer explain?"""

__version__ = "0.1.0"
