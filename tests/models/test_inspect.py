"""What `brainalign model check` says is true, and it says all of it at once."""

import json
import shutil
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from pipeline.cli import main
from pipeline.models.inspection import PARAGRAPH, inspect
from pipeline.models.weights import fresh

pytestmark = pytest.mark.xdist_group("inspect")  # one worker: the models in the fixture are made once


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def retensor(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    save_file(edit(tensors), folder / "model.safetensors", metadata={"format": "pt"})


def codes(seen):
    return [problem.code for problem in seen.problems]


@pytest.fixture(scope="module")
def learnt(made, tmp_path_factory):
    """A tiny GPT-2 that knows the paragraph by heart."""
    folder = tmp_path_factory.mktemp("learnt") / "model"
    shutil.copytree(made("gpt2"), folder)
    ids = AutoTokenizer.from_pretrained(folder)(PARAGRAPH, add_special_tokens=False)["input_ids"]
    pieces = torch.tensor([ids[i : i + 60] for i in range(0, len(ids) - 60, 15)])
    model = AutoModelForCausalLM.from_pretrained(folder)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        model(pieces, labels=pieces).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    return folder


def test_every_family_is_described_as_it_was_made(family, made):
    facts = inspect(str(made(family))).facts
    assert facts["family"] == family
    assert facts["head"] == ("masked" if family == "bert" else "causal")
    assert facts["widths"] == [32, 32, 32]
    assert facts["context"] == 64
    assert facts["looks_ahead"] == (family == "bert")
    assert facts["special_tokens"] == ([["[CLS]"], ["[SEP]"]] if family == "bert" else [["<|end|>"], []])
    assert facts["weights_bytes"] == (made(family) / "model.safetensors").stat().st_size


def test_hash_and_losses_are_those_of_a_study_that_reads_the_paragraph(family, made, read):
    facts = inspect(str(made(family))).facts
    told = read(made(family), PARAGRAPH, weights="random", seeds=(0,)).facts
    assert facts["weights_sha256"] == told["weights_sha256_trained"]
    assert facts["twin_sha256"] == told["weights_sha256_seed0"]
    assert facts["loss_trained"] == pytest.approx(told["loss_trained"], rel=1e-5)
    assert facts["loss_twin"] == pytest.approx(told["loss_seed0"], rel=1e-5)
    assert facts["paragraph"]["tokens"] == told["n_tokens"]


def test_the_largest_states_are_those_of_a_plain_forward(made):
    folder = made("gpt2")
    ids = AutoTokenizer.from_pretrained(folder)(PARAGRAPH, add_special_tokens=False)["input_ids"]
    model, states = AutoModelForCausalLM.from_pretrained(folder), []
    for start in range(0, len(ids), 63):
        with torch.no_grad():
            found = model(torch.tensor([[0, *ids[start : start + 63]]]), output_hidden_states=True).hidden_states
        states.append([float(state.abs().max()) for state in found])
    seen = inspect(str(folder))
    assert seen.facts["largest_state"] == pytest.approx(torch.tensor(states).max(dim=0).values.tolist(), rel=1e-4)
    assert seen.facts["not_finite"] == [0, 0, 0]


def test_a_model_that_knows_its_text_is_usable(learnt, capsys):
    seen = inspect(str(learnt))
    assert seen.verdict == "usable" and seen.problems == []
    assert seen.facts["loss_trained"] < 0.9 * seen.facts["ln_vocabulary"]
    assert seen.facts["canary"]["comes_back"]
    assert main(["model", "check", str(learnt)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["verdict:", "usable"]


def test_weights_that_know_nothing_are_usable_with_a_warning(made):
    seen = inspect(str(made("gpt2")))
    assert codes(seen) == ["W-MODEL-20"] and seen.verdict == "usable with warnings"
    assert f"{seen.facts['loss_trained']:.2f}" in seen.problems[0].found


def test_a_right_sized_tokenizer_of_another_model_shows_in_the_loss(learnt, tmp_path):
    tokenizer = json.loads((learnt / "tokenizer.json").read_text())
    ids = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {word: i if i == 0 else len(ids) - i for word, i in ids.items()}
    shutil.copytree(learnt, tmp_path / "other")
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert codes(inspect(str(learnt), tokenizer=str(tmp_path / "other"))) == ["W-MODEL-20"]


def test_a_twin_far_from_chance_is_a_warning(learnt, tmp_path):
    folder = shutil.copytree(learnt, tmp_path / "wide")
    change(folder, initializer_range=2.0)
    seen = inspect(str(folder))
    assert codes(seen) == ["W-MODEL-21"] and seen.verdict == "usable with warnings"


def test_letters_that_are_lost_are_shown(made):
    seen = inspect(str(made("bert")))
    (problem,) = [p for p in seen.problems if p.code == "W-MODEL-22"]
    assert "[UNK]" in problem.found and problem.field == "tokenizer"
    assert seen.facts["paragraph"]["unknown_tokens"] > 0


def test_an_encoder_without_a_head_has_states_and_no_loss(made, tmp_path):
    folder = shutil.copytree(made("bert"), tmp_path / "encoder")
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    change(folder, architectures=["BertModel"])
    seen = inspect(str(folder))
    assert seen.facts["head"] == "none" and seen.facts["class"] == "BertModel"
    assert seen.facts["loss_trained"] is None and seen.facts["loss_twin"] is None
    assert len(seen.facts["largest_state"]) == 3
    assert not {"W-MODEL-20", "W-MODEL-21"} & set(codes(seen))


def test_all_that_is_wrong_is_listed_at_once(broken, capsys):
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    for path in broken.glob("*token*"):
        path.unlink()
    assert main(["model", "check", str(broken)]) == 4
    out = capsys.readouterr().out
    assert "E-MODEL-03" in out and "E-MODEL-01" in out
    assert "gpt2" in out and out.splitlines()[-1].split() == ["verdict:", "not", "usable"]
    for problem in inspect(str(broken)).problems:
        assert problem.file and problem.field and problem.found and problem.expected and problem.why and problem.fix


def test_of_wrong_weights_the_tokenizer_is_told_all_the_same(broken):
    retensor(broken, lambda t: {k: v for k, v in t.items() if "h.1.mlp.c_fc.weight" not in k})
    seen = inspect(str(broken))
    assert codes(seen) == ["E-MODEL-02"] and "h.1.mlp.c_fc.weight" in seen.problems[0].found
    assert seen.facts["paragraph"]["tokens"] > 150 and "widths" not in seen.facts


def test_of_a_wrong_tokenizer_the_network_is_told_all_the_same(broken, made):
    seen = inspect(str(broken), tokenizer=str(made("bert")))
    assert codes(seen) == ["E-MODEL-10"]
    assert seen.facts["widths"] == [32, 32, 32] and "loss_trained" not in seen.facts


def test_states_that_are_no_numbers_make_it_unusable_and_still_json(broken, capsys):
    retensor(broken, lambda t: {k: v * torch.inf if "h.1.mlp.c_proj.weight" in k else v for k, v in t.items()})
    assert main(["model", "check", str(broken), "--json"]) == 4
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    (problem,) = told["problems"]
    assert (problem["code"], problem["level"]) == ("E-MODEL-08", "error") and "[2]" in problem["found"]
    assert told["verdict"] == "not usable" and told["facts"]["not_finite"][:2] == [0, 0]


def test_weights_that_are_the_initialisation_are_refused(broken):
    fresh(broken, 0).model.save_pretrained(broken)
    assert "E-MODEL-09" in codes(inspect(str(broken)))


def test_both_places_that_are_not_there_are_told_at_once(tmp_path):
    seen = inspect(str(tmp_path / "x" / "model"), tokenizer=str(tmp_path / "x" / "words"))
    assert codes(seen) == ["E-MODEL-07"] * 2
    assert [problem.field for problem in seen.problems] == ["name", "tokenizer"]


def test_a_hub_id_that_was_not_fetched_is_refused_at_once_with_the_command(capsys):
    start = time.monotonic()
    assert main(["model", "check", "nobody/no-such-model", "--revision", "step512"]) == 4
    assert time.monotonic() - start < 5
    assert "hf download nobody/no-such-model --revision step512" in capsys.readouterr().out


def test_a_hub_id_that_was_fetched_is_found(learnt, tmp_path, monkeypatch):
    cached = tmp_path / "models--owner--tiny"
    shutil.copytree(learnt, cached / "snapshots" / ("a" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    seen = inspect("owner/tiny")
    assert seen.verdict == "usable" and seen.facts["folder"].endswith("a" * 40)


def test_the_help_of_each_verb_has_an_example_and_loads_no_heavy_library():
    code = (
        "import sys; from pipeline.cli import main\n"
        "for verb in (['model'], ['model', 'check'], ['check']):\n"
        "    try: main([*verb, '--help'])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert done.stdout.count("example: ") == 3


def test_real_weights_are_usable_and_early_ones_get_a_warning(data):
    seen = inspect(str(data / "lm_stories260K"))
    assert seen.verdict == "usable" and seen.facts["parameters"] == 260032
    assert seen.facts["loss_trained"] == pytest.approx(1.99, abs=0.01)
    checkpoints = data / "lm_checkpoints"
    early = inspect(str(checkpoints / "step00010"), tokenizer=str(checkpoints / "tokenizer"))
    assert codes(early) == ["W-MODEL-20"] and early.verdict == "usable with warnings"
