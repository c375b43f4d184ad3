"""Text files of word vectors: what is read, and what is refused with its line."""

import gzip
import tracemalloc

import numpy as np
import pytest

from pipeline.models.vectors import read_vectors, vectors_problems
from pipeline.problems import StudyError

ROWS = ["the 0.1 0.2 0.3", "otter -1 2e-1 3", "café 4 5 6", ". . 7 8 9", "swims 0 0 0"]


@pytest.fixture
def write(tmp_path):
    def make(text, name="vectors.txt"):
        text = "\n".join(text) + "\n" if isinstance(text, list) else text
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return tmp_path / name

    return make


def refused(path, **settings):
    with pytest.raises(StudyError) as caught:
        read_vectors(path, {"the", "otter"}, **settings)
    (problem,) = caught.value.problems
    assert (problem.code, problem.file) == ("E-MODEL-15", str(path))
    assert problem.expected and problem.fix
    return problem


def test_only_wanted_words_are_kept_and_all_are_counted(write):
    vectors = read_vectors(write(ROWS), {"otter", "café", "badger"})
    assert {word: v.tolist() for word, v in vectors.found.items()} == {
        "otter": pytest.approx([-1, 0.2, 3]),
        "café": [4, 5, 6],
    }
    assert vectors.n_words == 5 and vectors.found["otter"].dtype == np.float32


@pytest.mark.parametrize("name", ["a.txt", "a.vec", "a.txt.gz"])
@pytest.mark.parametrize("header", [[], ["5 3"]], ids=["glove", "word2vec"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"], ids=["plain", "fasttext", "windows"])
def test_all_ways_to_write_a_file_are_read_alike(write, name, header, end):
    text = "".join(row + end for row in [*header, *ROWS])
    found = read_vectors(write(text, name), {"the", "swims", ". ."}).found
    assert {word: v.tolist() for word, v in found.items()} == {
        "the": pytest.approx([0.1, 0.2, 0.3]),
        "swims": [0, 0, 0],
        ". .": [7, 8, 9],
    }


def test_a_byte_order_mark_is_no_part_of_the_first_word(write):
    assert set(read_vectors(write("\ufeffthe 1 2\notter 3 4\n"), {"the", "otter"}).found) == {"the", "otter"}


def test_of_a_word_that_stands_twice_the_first_counts(write):
    assert read_vectors(write([*ROWS, "the 9 9 9"]), {"the"}).found["the"][2] == np.float32(0.3)


def test_a_word_that_word2vec_cut_amid_a_character_does_no_harm(write):
    long = ("é" * 60).encode()[:99]
    assert read_vectors(write(b"the 1 2\n" + long + b" 3 4\n"), {"the"}).n_words == 2


def test_moments_are_those_of_every_row(write):
    numbers = np.random.default_rng(0).normal([3, -1, 0], [0.1, 2, 0], (500, 3)).round(6)
    path = write([f"w{i} {' '.join(map(str, row))}" for i, row in enumerate(numbers)])
    vectors = read_vectors(path, {"w3"}, moments=True)
    np.testing.assert_allclose(vectors.mean, numbers.mean(0), atol=1e-12)
    np.testing.assert_allclose(vectors.deviation, numbers.std(0), rtol=1e-9, atol=1e-9)
    assert list(vectors.found) == ["w3"]


def test_memory_does_not_grow_with_the_file(write):
    row = " ".join(["0.123456"] * 50)
    peaks = []
    for n in (1000, 20_000):
        path = write("".join(f"w{i} {row}\n" for i in range(n)))
        tracemalloc.start()
        read_vectors(path, {"w1", "w7"})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize(
    ("rows", "line", "found"),
    [
        ([*ROWS, "short 1 2"], 6, "'short 1 2', 2 numbers"),
        ([*ROWS, "long 1 2 3 4"], 6, "'long 1 2 3 4', 4 numbers"),
        (["the 1 2 3", "", "otter 1 2 3"], 2, "'', 0 numbers"),
        (["the 1 2 3", "otter  1 2 3"], 2, "'otter  1 2 3', 4 numbers"),
        (["the,1,2,3", "otter,1,2,3"], 1, "'the,1,2,3', 0 numbers"),
        (["2 4", "the 1 2 3", "otter 1 2 3"], 2, "'the 1 2 3', 3 numbers"),
        (["the 1 2 3", "otter 1 x 3"], 2, "'x' in the vector of 'otter'"),
        (["the 1 2 3", "otter 1 nan 3"], 2, "'nan' in the vector of 'otter'"),
        (["2 3", "the 1 2 3", "otter 1 -inf 3"], 3, "'-inf' in the vector of 'otter'"),
        (["the 1 2 3", "otter 1 1e300 3"], 2, "'1e300' in the vector of 'otter'"),
    ],
)
def test_malformed_rows_are_refused_with_their_line_and_value(write, rows, line, found):
    problem = refused(write(rows))
    assert (problem.field, problem.found) == (f"line {line}", found)


def test_rows_that_nobody_wants_are_checked_where_all_are_read(write):
    path = write(["the 1 2", "badger 1 x"])
    assert read_vectors(path, {"the"}).n_words == 2
    assert refused(path, moments=True).found == "'x' in the vector of 'badger'"


def test_what_is_not_utf8_is_refused_with_its_line(write):
    problem = refused(write("the 1 2\ncafé 3 4\n".encode("latin-1")))
    assert (problem.field, problem.found, problem.expected) == ("line 2", r"b'caf\xe9'", "text in UTF-8")


def test_a_file_cut_off_has_fewer_words_than_its_first_line_tells(write):
    problem = refused(write(["7 3", *ROWS]))
    assert problem.found == "5 words" and "7" in problem.expected


@pytest.mark.parametrize("text", ["", "5 3\n"])
def test_an_empty_file_is_refused(write, text):
    assert refused(write(text)).found == "no vectors in it"


def test_a_git_lfs_pointer_is_refused(write):
    problem = refused(write("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"))
    assert problem.found == "a git-LFS pointer" and "git lfs pull" in problem.fix


def test_a_binary_file_is_refused(write):
    binary = b"3 4\nthe " + np.arange(300, 304, dtype="<f4").tobytes() + b"\notter "
    assert refused(write(binary, "vectors.bin")).field == "line 2"


def test_a_line_without_end_is_refused_before_it_fills_the_memory(write):
    assert refused(write("x" * 3_000_000)).found == "more than 1000000 bytes"


def test_a_gz_that_is_none_or_was_cut_off_is_refused(write):
    plain = write(ROWS)
    assert "BadGzipFile" in refused(plain.rename(plain.with_name("no.txt.gz"))).found
    whole = write([f"w{i} {i} {i * 7919 % 1000}" for i in range(2000)], "cut.txt.gz")
    whole.write_bytes(whole.read_bytes()[:3000])
    assert "EOFError" in refused(whole).found


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path):
    problem = refused(tmp_path / "none.txt")
    assert problem.found == "no such file" and str(tmp_path) in problem.why
    assert vectors_problems(tmp_path / "none.txt") == [problem]


def test_a_folder_is_no_file(tmp_path):
    assert "IsADirectoryError" in refused(tmp_path).found


def test_the_first_two_lines_tell_most_problems_before_a_job_starts(write):
    assert vectors_problems(write(ROWS)) == []
    assert vectors_problems(write(["5 3", *ROWS])) == []
    (problem,) = vectors_problems(write(["word one two", "the 1 2"]))
    assert problem.code == "E-MODEL-15" and problem.field == "line 1"
