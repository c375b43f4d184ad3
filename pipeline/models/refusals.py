"""What can be wrong with a model, in the user's words.

E-MODEL-01 no usable tokenizer, -02 config and weights do not fit, -03 weights
not whole, -04 other weights than recorded, -05 a pickle, -06 code of its own,
-07 not found, -08 states that are no numbers, -09 twins that are no twins, -10
tokenizer of another model, -11 wrong character positions, -12 no such network,
-13 a number that does not fit the model, -14 words that are no text, -15 no
vectors of words, -16 no such language, -17 checkpoints out of order.
"""

from pathlib import Path

from pipeline.problems import Problem, shown


def no_tokenizer(path: Path, found: str) -> Problem:
    """E-MODEL-01: no usable tokenizer."""
    return Problem(
        "E-MODEL-01",
        "no usable tokenizer",
        file=str(path),
        field="tokenizer",
        found=found,
        expected="the tokenizer.json (or vocabulary files) the model was trained with",
        why="the library would go on with an empty vocabulary: every text would be no tokens at all",
        fix="copy the tokenizer beside the weights, or name its folder under `tokenizer`",
    )


def strange_ids(folder: Path | str, found: str, expected: str) -> Problem:
    """E-MODEL-10: tokenizer and weights do not belong together."""
    return Problem(
        "E-MODEL-10",
        "tokenizer and weights do not belong together",
        file=str(folder),
        field="tokenizer",
        found=found,
        expected=expected,
        why="ids of another vocabulary stand for other words, or for no row of the embedding at all",
        fix="name the tokenizer the model was trained with",
    )


def no_folder(name: str, path: Path, field: str) -> Problem:
    """E-MODEL-07: no such directory."""
    return Problem(
        "E-MODEL-07",
        "no such directory",
        file=str(path),
        field=field,
        found=shown(name),
        expected="a directory with config.json, or a hub id like 'gpt2' or 'owner/name'",
        why=f"looked in: {path.parent.absolute()}",
        fix="correct the path; relative ones start where the command is called",
    )


def not_cached(name: str, path: Path, revision: str, field: str) -> Problem:
    """E-MODEL-07: model not found here."""
    from huggingface_hub.constants import HF_HUB_CACHE

    at = f" --revision {revision}" if revision else ""
    return Problem(
        "E-MODEL-07",
        "model not found here",
        file=HF_HUB_CACHE,
        field="revision" if revision and field == "name" else field,
        found=shown(name) + (f" at revision {shown(revision)}" if revision else ""),
        expected="a directory, or a hub id that was fetched before",
        why=f"looked in: {path.parent.absolute()} for a directory, {HF_HUB_CACHE} for a hub id; nothing is downloaded",
        fix=f"where there is a network: hf download {path}{at}",
    )


def no_revision(path: Path, revision: str) -> Problem:
    """E-MODEL-07: a directory has no revisions."""
    return Problem(
        "E-MODEL-07",
        "a directory has no revisions",
        file=str(path),
        field="revision",
        found=shown(revision),
        expected="empty",
        why="only a hub id has revisions; the directory would be used whatever stands here",
        fix="delete `revision`, or name the directory of that checkpoint",
    )


def bad_config(path: Path, error: Exception) -> Problem:
    """E-MODEL-12: the model's config cannot be read."""
    return Problem(
        "E-MODEL-12",
        "the model's config cannot be read",
        file=str(path),
        field="name",
        found="no such file" if isinstance(error, FileNotFoundError) else shown(str(error)),
        expected="JSON with a 'model_type'",
        fix="name a folder made by save_pretrained; a git-LFS pointer needs `git lfs pull`",
    )


def incomplete(folder: Path, wrong: dict[str, list[str]]) -> Problem:
    """E-MODEL-02: config and weights do not fit each other."""
    return Problem(
        "E-MODEL-02",
        "config and weights do not fit each other",
        file=str(folder),
        field="name",
        found="; ".join(f"{len(keys)} {kind}: {shown(keys, 200)}" for kind, keys in wrong.items()),
        expected="every tensor of the network in the file, and no other",
        why="a missing tensor would be random, the very thing trained networks are compared with",
        fix="restore the config.json and all the safetensors files of one and the same model",
    )


def unsupported(folder: Path, found: str) -> Problem:
    """E-MODEL-12: no network can be made of this config."""
    return Problem(
        "E-MODEL-12",
        "no network can be made of this config",
        file=str(folder / "config.json"),
        field="name",
        found=found,
        expected="a causal or masked language model of a family built into transformers",
        fix="choose another model, or a newer transformers",
    )


def changed(path: Path, found: str, expected: str) -> Problem:
    """E-MODEL-04: these are not the weights of the record."""
    return Problem(
        "E-MODEL-04",
        "these are not the weights of the record",
        file=str(path),
        field="sha256",
        found=found,
        expected=expected,
        why="checkpoints are exchanged under the same name, and a flipped bit loads like any other",
        fix="fetch the weights again, or delete `sha256` if the change is wanted",
    )


def changed_since(model: str, name: str, found: str, expected: str, record: str) -> Problem:
    """E-MODEL-04: other weights than at first use."""
    return Problem(
        "E-MODEL-04",
        "these are not the weights that were used before under this name",
        file=model,
        field="sha256",
        found=f"{name} {found}",
        expected=f"{expected}, as at first use",
        why="a flipped bit loads like any other, and names on a hub can be given to other weights",
        fix=f"fetch the weights again; if the change is wanted, write sha256: {found} or delete the model's {record}",
    )


def same_network(model: str, first: str, second: str, value: str, checkpoints: bool = False) -> Problem:
    """E-MODEL-09: two networks that should differ are the same."""
    return Problem(
        "E-MODEL-09",
        f"{first} and {second} are the same network",
        file=model,
        field="revision" if checkpoints else "seeds",
        found=f"weights_sha256 {value} twice",
        expected="other weights for every name",
        why="checkpoints have been served with the final weights under early names"
        if checkpoints
        else "a control that equals what it controls for shows nothing",
        fix="fetch the checkpoint again, or leave it out"
        if checkpoints
        else "the weights of this model are its initialisation, or its family ignores the seed: choose another",
    )


def another_shape(model: str, name: str, first: str) -> Problem:
    """E-MODEL-17: checkpoints of different architectures."""
    return Problem(
        "E-MODEL-17",
        "checkpoints of different networks",
        file=model,
        field="name",
        found=f"{name} has other parameters than {first}",
        expected="one network at several moments of its training",
        fix="make each architecture a model of its own",
    )


def not_a_trajectory(model: str, ratio: float, first: str, second: str) -> Problem:
    """E-MODEL-17: checkpoints that lie in another order than they are named."""
    return Problem(
        "E-MODEL-17",
        "checkpoints are not in the order of their training",
        file=model,
        field="revision",
        found=f"with {first} and {second} exchanged, the way through the weights is {1 - ratio:.0%} shorter there",
        expected="weights that move away from where they were, step by step",
        why="a checkpoint may have been saved or served under another's name",
        fix="correct the order or fetch both again; `ordered: false` if they are no trajectory of one training",
    )


def worse_with_training(model: str, first: str, loss: float, last: str, last_loss: float, chance: float) -> Problem:
    """E-MODEL-17: checkpoints that seem to run backwards."""
    return Problem(
        "E-MODEL-17",
        "checkpoints are not in the order of their training",
        file=model,
        field="revision",
        found=f"loss on the stimulus text {loss:.2f} nats per token at {first}, {last_loss:.2f} at {last} (chance {chance:.2f})",
        expected="a last checkpoint that knows at least half of what the first one knew",
        why="the order may be reversed, or late weights were served under an early name",
        fix="correct the order or fetch both again; `ordered: false` if the training was on something else",
    )


def no_gpu() -> Problem:
    """E-ENV-20: no GPU here."""
    return Problem(
        "E-ENV-20",
        "no GPU here",
        field="device",
        found="cuda",
        expected="cpu, or a machine with an NVIDIA GPU that this torch can use",
        fix="set device: cpu, or send the job to a GPU partition",
    )


def unfit(field: str, found: object, expected: str, why: str = "", *, file: str = "") -> Problem:
    """E-MODEL-13: a number does not fit the model."""
    return Problem(
        "E-MODEL-13",
        f"{field} does not fit the model",
        file=file,
        field=field,
        found=shown(found),
        expected=expected,
        why=why,
        fix=f"correct `{field}` in the study",
    )
