"""A made-up language whose hidden states are known for every word.

The demo needs text of which the truth is known: what it is about, where in a
sentence it stands, how much of a surprise a word is. No corpus tells that, a
grammar does. Its words are syllables without a meaning, frequent words are
shorter, and three things in it must be inferred over time, so that a network
has something to learn that a list of words does not hold:

* topic, for a few sentences. The same words serve all topics, only more often
  in one and less in another, as subjects of the one and objects of the other;
  some sentences open with an adverb that announces the topic. Each word is weak
  evidence, and evidence adds up over sentences.
* word order, for a few sentences. The verb comes second, or it comes last.
* agreement. The determiner of a subject and its verb share a number; modifiers
  with nouns, and clauses with verbs, of their own may stand between them.
"""

import math
from bisect import bisect
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import accumulate, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

CLASSES = ("determiner", "noun", "verb", "adjective", "adverb", "preposition", "conjunction", "relative")
N_TOPICS = 4
DEEPEST = 2  # a modifier of a modifier is the deepest: the language stays finite, its predictions exact

_SIZES = {"noun": 70, "verb": 36, "adjective": 24, "adverb": 12, "preposition": 6, "conjunction": 3, "relative": 1}
_SENTENCES = (2, 3, 4)  # that a topic lasts, equally likely
_STAY_ORDER = 0.65  # per sentence: orders last 3 sentences on average
# log odds that a topic adds to a word: everywhere (SD over words); for or against it as a subject and the other way
# round as an object; to the adverbs that announce the topic
_FIELD, _SIDE, _MARK = 1.2, 1.0, 3.5
_SIDES = {"subject": 1.0, "object": -1.0, "oblique": 0.0}
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_BLOCK = 4096  # random numbers drawn together: one at a time is slow

Item = tuple  # a symbol of the grammar and its features, such as ("verb", 1)
Stack = tuple[Item, ...]


class Story(NamedTuple):
    """Words and the state the grammar was in when it had said each of them."""

    words: list[str]
    sentence: Int[np.ndarray, " word"]  # counted from 0
    word_class: Int[np.ndarray, " word"]  # index into CLASSES
    topic: Int[np.ndarray, " word"]  # 0 to N_TOPICS - 1, constant within a sentence
    order: Int[np.ndarray, " word"]  # 0 the verb comes second, 1 it comes last
    expected: Float[np.ndarray, "word class"]  # probability of the class of the next word
    depth: Int[np.ndarray, " word"]  # verbs that are still owed to a subject
    number: Int[np.ndarray, " word"]  # of the verb owed next: -1 singular, 1 plural, 0 none is owed
    surprise: Float[np.ndarray, " word"]  # nats: -log p(word | state before it, topic of its sentence), exact


class Lexicon(NamedTuple):
    """Word forms of every terminal, such as ("determiner", "subject", 1), and how probable each is in a topic."""

    forms: dict[Item, list[str]]
    odds: dict[Item, Float[np.ndarray, "topic form"]]  # each row adds up to 1
    cumulated: dict[Item, list[list[float]]]  # the same, added up along the forms


def generate(n_words: int, seed: int | np.random.SeedSequence, language_seed: int = 0) -> Story:
    """Tell a story of exactly `n_words` words; its last sentence may be cut short.

    Parameters
    ----------
    seed : of this story.
    language_seed : of the language: its word forms and topics. Stories of one
        language share it, and so does the text that a model learns from.
    """
    if n_words < 1:
        raise ValueError(f"a story of {n_words} words cannot be told: n_words must be at least 1")
    said = list(islice(_speech(_dice(np.random.default_rng(seed)), make_lexicon(language_seed)), n_words))
    words, sentence, word_class, topic, stacks, surprise = zip(*said, strict=True)
    states = [_state(stack) for stack in stacks]
    return Story(
        words=list(words),
        sentence=np.array(sentence),
        word_class=np.array(word_class),
        topic=np.array(topic),
        order=np.array([state.order for state in states]),
        expected=np.array([state.expected for state in states]),
        depth=np.array([state.depth for state in states]),
        number=np.array([state.number for state in states]),
        surprise=np.array(surprise),
    )


def _speech(dice: Iterator[float], lexicon: Lexicon) -> Iterator[tuple[str, int, int, int, Stack, float]]:
    """Words without end: form, sentence, class, topic, what is left to say, surprise."""
    stack: Stack = (("text", int(next(dice) < 0.5)),)
    topics, topic, sentence = _topics(dice), -1, -1
    while True:
        state = _state(stack)
        terminal, stack, begins = state.steps[bisect(state.cumulated, next(dice), hi=len(state.steps) - 1)]
        if begins:
            sentence += 1
            topic = next(topics)
        forms, cumulated = lexicon.forms[terminal], lexicon.cumulated[terminal][topic]
        form = bisect(cumulated, next(dice), hi=len(forms) - 1)
        p = state.chance[terminal] * lexicon.odds[terminal][topic, form]
        yield forms[form], sentence, CLASSES.index(terminal[0]), topic, stack, -math.log(p)


def _topics(dice: Iterator[float]) -> Iterator[int]:
    """The topic of each sentence: all in turn, then all again in another order.

    Drawn freely, topics would come and go for minutes, and a high-pass that
    keeps scanner drift out of recordings would take that from the voxels, too.
    """
    while True:
        for topic in sorted(range(N_TOPICS), key=lambda _: next(dice)):
            for _ in range(_SENTENCES[int(next(dice) * len(_SENTENCES))]):
                yield topic


def _dice(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(_BLOCK).tolist()  # one at a time is slow


class _State(NamedTuple):
    """What a stack of symbols still to be said means for the next word."""

    steps: list[tuple[Item, Stack, bool]]  # a terminal, the stack after it, whether it begins a sentence
    cumulated: list[float]  # of the steps' probabilities
    chance: dict[Item, float]  # terminal -> probability
    expected: list[float]  # probability per class
    depth: int
    number: int
    order: int


@cache  # modifiers nest to a fixed depth, so there are only a few hundred stacks
def _state(stack: Stack) -> _State:
    found = _steps(stack)
    chance: dict[Item, float] = {}
    for p, terminal, _, _ in found:
        chance[terminal] = chance.get(terminal, 0.0) + p
    expected = [sum(p for terminal, p in chance.items() if terminal[0] == name) for name in CLASSES]
    verbs = [item for item in stack if item[0] == "verb"]
    return _State(
        steps=[step[1:] for step in found],
        cumulated=list(accumulate(step[0] for step in found)),
        chance=chance,
        expected=expected,
        depth=len(verbs),
        number=2 * verbs[0][1] - 1 if verbs else 0,
        order=stack[-1][1],
    )


def _steps(stack: Stack) -> list[tuple[float, Item, Stack, bool]]:
    """Every next word the grammar allows: probability, terminal, the stack after it, whether it begins a sentence."""
    top, rest = stack[0], stack[1:]
    if top[0] in CLASSES:
        return [(1.0, top, rest, False)]
    return [
        (p * q, terminal, after, begins or top[0] == "text")
        for p, symbols in _rules(*top)
        for q, terminal, after, begins in _steps(symbols + rest)
    ]


def _rules(symbol: str, *features: int | str) -> list[tuple[float, Stack]]:
    return RULES[symbol](*features)  # the table stands at the foot


def _text(order: int) -> list[tuple[float, Stack]]:
    choices = ((_STAY_ORDER, order), (1 - _STAY_ORDER, 1 - order))
    return [(p, (("sentence", o), ("text", o))) for p, o in choices]


def _sentence(order: int) -> list[tuple[float, Stack]]:
    clause = ("clause", order)
    return [(0.5, (clause,)), (0.35, (("adverb",), clause)), (0.15, (clause, ("conjunction",), clause))]


def _clause(order: int) -> list[tuple[float, Stack]]:
    return [(0.5, (("phrase", "subject", n, 0, order), *_predicate(n, 0, order))) for n in (0, 1)]


def _predicate(number: int, depth: int, order: int) -> Stack:
    verb, thing = ("verb", number), ("thing", "object", depth, order)
    return (thing, verb) if order else (verb, thing)


def _thing(role: str, depth: int, order: int) -> list[tuple[float, Stack]]:
    return [(0.5, (("phrase", role, n, depth, order),)) for n in (0, 1)]


def _phrase(role: str, number: int, depth: int, order: int) -> list[tuple[float, Stack]]:
    start, end = ("determiner", role, number), (("noun", role), ("modifier", number, depth + 1, order))
    return [(0.65, (start, *end)), (0.35, (start, ("adjective", role), *end))]


def _modifier(number: int, depth: int, order: int) -> list[tuple[float, Stack]]:
    if depth > DEEPEST:
        return [(1.0, ())]
    place = (("preposition",), ("thing", "oblique", depth, order))
    clause = (("relative",), *_predicate(number, depth, order))  # its verb agrees with the noun it modifies
    return [(0.6, ()), (0.2, place), (0.2, clause)]


@lru_cache(maxsize=4)
def make_lexicon(language_seed: int = 0) -> Lexicon:
    """The words of one language: forms, and their probabilities in every topic."""
    rng = np.random.default_rng([language_seed, 1])
    taken: set[str] = set()
    stems = {name: [_stem(rng, rank, taken) for rank in range(n)] for name, n in _SIZES.items()}
    articles = {key: _stem(rng, 0, taken) for key in ((s, n) for s in (True, False) for n in (0, 1))}
    forms: dict[Item, list[str]] = {(name,): words for name, words in stems.items()}
    odds = {item: np.tile(_zipf(len(words)), (N_TOPICS, 1)) for item, words in forms.items()}
    odds["verb",] = odds["verb",] * np.exp(_FIELD * rng.standard_normal(odds["verb",].shape))
    announced = np.arange(N_TOPICS)[:, None] == np.arange(len(stems["adverb"])) % N_TOPICS
    odds["adverb",] = odds["adverb",] * np.exp(_MARK * announced)
    for number, ending in enumerate(("", rng.choice(list(_CONSONANTS)))):
        forms["verb", number] = [stem + ending for stem in stems["verb"]]
        odds["verb", number] = odds["verb",]
    for name in ("noun", "adjective"):
        field = _FIELD * rng.standard_normal(odds[name,].shape)
        side = _SIDE * rng.choice([-1.0, 1.0], odds[name,].shape)
        for role, sign in _SIDES.items():
            forms[name, role] = stems[name]
            odds[name, role] = odds[name,] * np.exp(field + sign * side)
    for role in _SIDES:
        for number in (0, 1):
            forms["determiner", role, number] = [articles[role == "subject", number]]
            odds["determiner", role, number] = np.ones((N_TOPICS, 1))
    odds = {item: values / values.sum(axis=1, keepdims=True) for item, values in odds.items()}
    return Lexicon(forms, odds, {item: np.cumsum(values, axis=1).tolist() for item, values in odds.items()})


def _zipf(n: int) -> Float[np.ndarray, " form"]:
    return 1.0 / (np.arange(n) + 2.7)  # Zipf and Mandelbrot's law, with the offset of English


def _stem(rng: np.random.Generator, rank: int, taken: set[str]) -> str:
    """A new word of open syllables; the frequent ones are shorter (Zipf's law of abbreviation)."""
    while True:
        n = 1 + (rank > 3) + (rank > 30)
        stem = "".join(rng.choice(list(_CONSONANTS)) + rng.choice(list(_VOWELS)) for _ in range(n))
        if stem not in taken:
            taken.add(stem)
            return stem


RULES: dict[str, Callable[..., list[tuple[float, Stack]]]] = {
    "text": _text,
    "sentence": _sentence,
    "clause": _clause,
    "phrase": _phrase,
    "thing": _thing,
    "modifier": _modifier,
}
