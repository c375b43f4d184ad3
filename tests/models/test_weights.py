"""Nothing is read from weights that are not what they are called."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.models import MODELS
from pipeline.models.weights import fingerprint, fresh, trained
from pipeline.problems import StudyError

Transformer = MODELS["transformer"]
WORDS = "the otter swims across the cold river"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def retensor(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    save_file(edit(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def refusal(read, folder, **settings):
    """The problem that both the cheap check and the loading tell (or the loading alone)."""
    with pytest.raises(StudyError) as error:
        read(folder, WORDS, **settings)
    problem = error.value.problems[0]
    assert problem.exit_code == 4
    assert problem.file and problem.field and problem.found and problem.fix
    assert problem.model == ""
    return problem


def cheap(folder, **settings):
    return [p.code for p in Transformer(name=str(folder), **settings).problems(Path())]


def test_a_sound_model_has_no_problems(family, made):
    assert Transformer(name=str(made(family))).problems(Path()) == []


def test_a_folder_without_a_tokenizer_is_refused(broken, read):
    for path in broken.glob("*token*"):
        path.unlink()
    assert cheap(broken) == ["E-MODEL-01"]
    problem = refusal(read, broken)
    assert problem.field == "tokenizer" and "tokenizer.json" in problem.found


@pytest.mark.parametrize("vocabulary", ({}, {"<|end|>": 0}))
def test_an_empty_tokenizer_is_refused(vocabulary, broken, read):
    tokenizer = json.loads((broken / "tokenizer.json").read_text())
    tokenizer["model"] |= {"vocab": vocabulary, "merges": []}
    (broken / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert refusal(read, broken).code == "E-MODEL-01"


def test_a_tokenizer_that_is_empty_only_once_loaded_is_refused(tmp_path):
    from pipeline.models.weights import load_tokenizer

    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')  # transformers 5.23 makes one of length 1 of this
    with pytest.raises(StudyError, match="E-MODEL-01"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("told, n_real", ((4, 2), (1, 2)))
def test_more_or_fewer_layers_in_the_config_than_in_the_weights_are_refused(told, n_real, broken, read):
    change(broken / "config.json", n_layer=told)
    assert cheap(broken) == ["E-MODEL-02"]
    problem = refusal(read, broken)
    assert problem.field == "num_hidden_layers"
    assert problem.found == str(told) and str(n_real) in problem.expected


def test_a_missing_tensor_is_refused_by_name(broken, read):
    retensor(broken, lambda t: {k: v for k, v in t.items() if "h.1.mlp.c_fc.weight" not in k})
    problem = refusal(read, broken)
    assert problem.code == "E-MODEL-02"
    assert "1 missing" in problem.found and "h.1.mlp.c_fc.weight" in problem.found


def test_a_surplus_tensor_is_refused_by_name(broken, read):
    retensor(broken, lambda t: t | {"transformer.adapter.weight": torch.zeros(2)})
    problem = refusal(read, broken)
    assert problem.code == "E-MODEL-02" and "adapter.weight" in problem.found


def test_another_width_is_refused(broken, read):
    change(broken / "config.json", n_embd=64)
    assert refusal(read, broken).code == "E-MODEL-02"


def test_buffers_of_older_releases_are_harmless(broken, read):
    retensor(broken, lambda t: t | {"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64)})
    assert read(broken, WORDS).values.shape == (7, 3, 32)


def test_truncated_weights_are_refused_with_both_sizes(broken, read):
    path = broken / "model.safetensors"
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    assert cheap(broken) == ["E-MODEL-03"]
    problem = refusal(read, broken)
    assert problem.file == str(path)
    assert str(whole) in problem.found and str(whole - 100) in problem.found


@pytest.mark.parametrize("content", (b"", b"abc", b"\xff" * 64, b"\x10" + b"\0" * 7 + b"not json at all!"))
def test_what_is_no_safetensors_file_is_refused(content, broken, read):
    (broken / "model.safetensors").write_bytes(content)
    assert refusal(read, broken).code == "E-MODEL-03"


def test_a_git_lfs_pointer_is_named_as_such(broken, read):
    (broken / "model.safetensors").write_text(LFS)
    problem = refusal(read, broken)
    assert problem.code == "E-MODEL-03" and "git lfs pull" in problem.found


def test_a_missing_shard_is_refused_by_name(broken, read):
    os.rename(broken / "model.safetensors", broken / "model-00001-of-00002.safetensors")
    names = load_file(broken / "model-00001-of-00002.safetensors")
    shards = dict.fromkeys(names, "model-00001-of-00002.safetensors") | {"x": "model-00002-of-00002.safetensors"}
    (broken / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    problem = refusal(read, broken)
    assert problem.code == "E-MODEL-03" and problem.file.endswith("model-00002-of-00002.safetensors")


def test_whole_shards_are_read(broken, read):
    before = read(broken, WORDS).values
    tensors = load_file(broken / "model.safetensors")
    (broken / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, part in files.items():
        save_file({n: tensors[n] for n in part}, broken / file, metadata={"format": "pt"})
    shards = {n: file for file, part in files.items() for n in part}
    (broken / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert (read(broken, WORDS).values == before).all()


def test_shards_outside_the_folder_are_refused(broken, read):
    (broken / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"x": "../../../etc/passwd"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(read, broken).code == "E-MODEL-03"


def test_a_flipped_bit_is_seen_by_the_recorded_hash(broken, read):
    sha256 = read(broken, WORDS).facts["weights_sha256"]
    assert read(broken, WORDS, sha256=sha256).facts["weights_sha256"] == sha256
    content = bytearray((broken / "model.safetensors").read_bytes())
    content[-50] ^= 4
    (broken / "model.safetensors").write_bytes(content)
    problem = refusal(read, broken, sha256=sha256)
    assert (problem.code, problem.field, problem.expected) == ("E-MODEL-04", "sha256", sha256)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("beside", (True, False))
def test_a_malicious_pickle_is_never_opened(beside, broken, read, tmp_path):
    struck = tmp_path / "struck"
    (broken / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(struck)))
    if beside:
        read(broken, WORDS)
    else:
        (broken / "model.safetensors").unlink()
        assert cheap(broken) == ["E-MODEL-05"]
        problem = refusal(read, broken)
        assert problem.found == "pytorch_model.bin"
    assert not struck.exists()


@pytest.mark.parametrize("file", ("config.json", "tokenizer_config.json"))
def test_code_that_comes_with_a_model_is_refused_and_not_run(file, broken, read, tmp_path):
    (broken / "evil.py").write_text(f"open({str(tmp_path / 'struck')!r}, 'w')\nclass Model: pass\nclass Config: pass\n")
    change(broken / file, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    assert cheap(broken) == ["E-MODEL-06"]
    problem = refusal(read, broken)
    assert problem.found == "auto_map" and problem.file == str(broken / file)
    assert not (tmp_path / "struck").exists()


def test_a_path_that_is_not_there_says_where_it_was_looked_for(read, tmp_path):
    problem = refusal(read, tmp_path / "nowhere" / "model")
    assert problem.code == "E-MODEL-07" and problem.summary == "no such directory"
    assert str(tmp_path / "nowhere") in problem.why


def test_a_hub_id_that_is_not_cached_says_how_to_fetch_it_and_does_not_wait(read, monkeypatch, tmp_path):
    start = time.monotonic()
    problem = refusal(read, "nobody/no-such-model", revision="step512")
    assert time.monotonic() - start < 5
    assert problem.code == "E-MODEL-07" and problem.field == "revision"
    assert "hf download nobody/no-such-model --revision step512" in problem.fix


def test_a_missing_tokenizer_folder_names_its_own_field(made, read, tmp_path):
    assert refusal(read, made("gpt2"), tokenizer=str(tmp_path / "gone" / "x")).field == "tokenizer"


def test_a_directory_has_no_revision(made, read):
    assert refusal(read, made("gpt2"), revision="main").field == "revision"


def test_overflow_is_refused_with_layer_run_and_share(broken, read):
    retensor(broken, lambda t: {k: v * 1e7 if "h.0.mlp.c_proj.weight" in k else v for k, v in t.items()})
    assert np.isfinite(read(broken, WORDS).values).all()
    problem = refusal(read, broken, dtype="float16")
    assert problem.code == "E-MODEL-08" and "run1" in problem.summary
    assert "%" in problem.found and "layer 1" in problem.found
    assert "float32" in problem.fix and "bfloat16" in problem.fix


def test_weights_that_are_an_initialisation_cannot_have_twins_of_its_seed(broken, read):
    fresh(broken, 3).model.save_pretrained(broken)
    problem = refusal(read, broken, weights="random", seeds=(2, 3))
    assert problem.code == "E-MODEL-09" and "seed3" in problem.summary and "trained" in problem.summary


def test_a_file_of_the_hubs_cache_must_be_what_its_name_says(broken, read, tmp_path):
    weights, blobs = broken / "model.safetensors", tmp_path / "blobs"
    blobs.mkdir()
    blob = blobs / hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(blob)
    weights.symlink_to(blob)
    assert np.isfinite(read(broken, WORDS).values).all()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1  # in the last weight: whole by its header, and loads
    blob.write_bytes(content)
    problem = refusal(read, broken)
    assert problem.code == "E-MODEL-04" and blob.name in problem.expected and problem.file == str(weights)


def test_the_hash_depends_on_every_parameter(made):
    model = trained(made("gpt2")).model
    before = fingerprint(model)
    assert before == fingerprint(trained(made("gpt2")).model)
    for parameter in model.parameters():
        parameter.data.view(-1)[-1] += 1
        assert fingerprint(model) != before
        parameter.data.view(-1)[-1] -= 1


def test_seeds_differ_in_every_weight_matrix(family, made):
    one, two = (dict(fresh(made(family), seed).model.named_parameters()) for seed in (0, 1))
    drawn = [name for name, p in one.items() if p.ndim == 2]
    assert drawn and all(not torch.equal(one[name], two[name]) for name in drawn)


def test_the_vocabulary_of_another_model_is_refused(broken, made, read):
    shutil.copy(made("bert") / "tokenizer.json", broken)
    assert cheap(broken) == ["E-MODEL-10"]
    problem = refusal(read, broken)
    assert problem.field == "tokenizer" and "400" in problem.expected


def test_ids_beyond_the_embedding_are_refused(broken, read):
    tokenizer = json.loads((broken / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {word: i + 10 for word, i in tokenizer["model"]["vocab"].items()}
    (broken / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert cheap(broken) == ["E-MODEL-10"]
    assert refusal(read, broken).found == "a vocabulary of 410"


def test_ids_beyond_the_embedding_are_refused_in_every_run(made, table, monkeypatch):
    from pipeline.models import reader

    model, real, calls = Transformer(name=str(made("gpt2"))), reader.align, []

    def later(text, tokenizer, *, run):
        calls.append(run)
        alignment = real(text, tokenizer, run=run)
        return alignment._replace(ids=alignment.ids + (400 if run == "b" else 0))

    monkeypatch.setattr(reader, "align", later)
    with pytest.raises(StudyError, match="E-MODEL-10"):
        list(model.activations({"a": table(WORDS), "b": table(WORDS)}, study_dir=Path()))
    assert calls == ["a", "b"]


@pytest.mark.parametrize("content", ("", "{", "[]", "{}", LFS))
def test_an_unreadable_config_is_refused(content, broken, read):
    (broken / "config.json").write_text(content)
    assert refusal(read, broken).code == "E-MODEL-12"


def test_an_unknown_family_is_refused(broken, read):
    change(broken / "config.json", model_type="nonsense")
    assert refusal(read, broken).code == "E-MODEL-12"


def test_twins_need_no_weights(broken, read):
    (broken / "model.safetensors").unlink()
    answer = read(broken, WORDS, weights="random", seeds=(0, 1))
    assert answer.values.shape == (2, 7, 3, 32)
    assert "weights_sha256_trained" not in answer.facts


def test_files_are_config_weights_and_tokenizer(made):
    names = {path.name for path in Transformer(name=str(made("gpt2"))).files(Path())}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names


def test_the_check_and_the_import_need_no_heavy_library(made):
    code = (
        "import sys; from pathlib import Path; from pipeline.models import MODELS;"
        f"assert MODELS['transformer'](name={str(made('gpt2'))!r}).problems(Path()) == [];"
        "heavy = {'torch', 'transformers', 'tokenizers', 'pandas'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
