"""The made-up language keeps its own rules, and tells the truth about every word."""

from collections import Counter

import numpy as np
import pytest

from pipeline.datasets import language


@pytest.fixture(scope="module")
def story():
    return language.generate(30_000, seed=1)


def numbers_of(word, word_class):
    """Which numbers (0 singular, 1 plural) a form can have."""
    forms = language.make_lexicon().forms
    return {item[-1] for item, words in forms.items() if item[0] == word_class and len(item) > 1 and word in words}


def test_every_state_belongs_to_one_word(story):
    assert {len(part) for part in story} == {30_000}
    assert story.expected.shape == (30_000, len(language.CLASSES))


def test_the_same_seed_tells_the_same_story_and_another_seed_another():
    first, second, other = (language.generate(500, seed=seed) for seed in (3, 3, 4))
    assert first.words == second.words and np.array_equal(first.surprise, second.surprise)
    assert first.words != other.words


def test_a_longer_story_begins_like_the_shorter_one():
    short, long = language.generate(100, seed=5), language.generate(5_000, seed=5)
    assert long.words[:100] == short.words
    assert np.array_equal(long.topic[:100], short.topic)


def test_word_frequencies_fall_like_zipf(story):
    counts = np.sort(list(Counter(story.words).values()))[::-1]
    slope = np.polyfit(np.log(np.arange(1, 151)), np.log(counts[:150]), 1)[0]
    assert len(counts) > 150
    assert slope == pytest.approx(-1, abs=0.25)


def test_frequent_words_are_shorter(story):
    ranked = [word for word, _ in Counter(story.words).most_common()]
    assert np.mean([len(w) for w in ranked[:20]]) < np.mean([len(w) for w in ranked[-50:]]) - 1


def test_a_verb_always_has_the_number_that_was_owed(story):
    verb = language.CLASSES.index("verb")
    places = [i for i in range(1, 30_000) if story.word_class[i] == verb]
    assert all(numbers_of(story.words[i], "verb") == {(story.number[i - 1] + 1) // 2} for i in places)
    assert len(places) > 4_000


def test_the_number_of_a_subject_is_owed_from_its_determiner_on(story):
    subjects = {language.make_lexicon().forms["determiner", "subject", n][0]: 2 * n - 1 for n in (0, 1)}
    owed = [(story.number[i], subjects[word]) for i, word in enumerate(story.words) if word in subjects]
    assert len(owed) > 2_000 and all(now == marked for now, marked in owed)


def test_agreement_reaches_over_other_nouns(story):
    noun, depths = story.word_class == language.CLASSES.index("noun"), []
    for i in np.flatnonzero(np.diff(story.depth, prepend=0) > 0):
        end = i + np.argmax(story.depth[i:] < story.depth[i])
        depths.append(int(noun[i + 1 : end].sum()))
    assert np.mean(np.array(depths) >= 2) > 0.3  # the subject's own, and one more


def test_topics_last_three_sentences_on_average(story):
    first = np.flatnonzero(np.diff(story.sentence, prepend=-1))
    topics = story.topic[first]
    runs = np.diff(np.flatnonzero(np.diff(topics, prepend=-1)))
    assert 3.0 <= runs.mean() < 3.6  # 3, a little more where a topic follows itself
    assert runs.min() >= 2


def test_no_word_gives_its_topic_away(story):
    noun = story.word_class == language.CLASSES.index("noun")
    words, topics = np.array(story.words)[noun], story.topic[noun]
    share = [np.bincount(topics[words == word], minlength=4).max() / np.sum(words == word) for word in set(words)]
    weights = [np.sum(words == word) for word in set(words)]
    assert 0.3 < np.average(share, weights=weights) < 0.75  # a guess from one noun: better than 1 in 4, often wrong


def test_expectations_come_true_as_often_as_they_say(story):
    expected, came = story.expected[:-1], story.word_class[1:]
    assert np.allclose(expected.sum(axis=1), 1)
    for k in range(len(language.CLASSES)):
        assert np.mean(came == k) == pytest.approx(expected[:, k].mean(), abs=0.01)
    assert np.all(expected[np.arange(len(came)), came] > 0)


def test_surprise_is_the_code_length_of_words_given_state_and_topic(story):
    """Oracle: where a verb of known number is sure to come, count how often each comes in a topic."""
    verb = language.CLASSES.index("verb")
    places = np.flatnonzero(np.isclose(story.expected[:-1, verb], 1))
    keys = [(story.number[i], story.topic[i + 1]) for i in places]
    seen, pairs = Counter(keys), Counter(zip(keys, (story.words[i + 1] for i in places), strict=True))
    common = [(i, key) for i, key in zip(places, keys, strict=True) if pairs[key, story.words[i + 1]] >= 30]
    counted = [-np.log(pairs[key, story.words[i + 1]] / seen[key]) for i, key in common]
    said = [story.surprise[i + 1] for i, _ in common]
    assert len(common) > 500
    assert np.allclose(counted, said, atol=0.5)
    assert np.mean(counted) == pytest.approx(np.mean(said), abs=0.08)


def test_the_probabilities_of_all_next_words_add_up_to_one(story):
    lexicon = language.make_lexicon()
    for stack in [(("text", 0),), (("text", 1),)]:
        chance = language._state(stack).chance
        total = sum(p * lexicon.odds[terminal][2].sum() for terminal, p in chance.items())
        assert total == pytest.approx(1, abs=1e-12)


def test_a_story_without_words_is_refused():
    with pytest.raises(ValueError, match="0 words"):
        language.generate(0, seed=1)
