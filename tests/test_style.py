"""Claims about the project itself: its floors, its one writer, what it never does."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from laboratory import REPOSITORY

from pipeline.config import Study
from pipeline.datasets import DATASETS
from pipeline.models import MODELS
from pipeline.recordings import RECORDINGS
from pipeline.settings import Settings

PACKAGE = sorted((REPOSITORY / "pipeline").rglob("*.py"))
WRITERS = {
    "to_netcdf", "to_csv", "to_parquet", "to_zarr", "write_text", "write_bytes", "savefig", "save_file", "tofile", "savez", "imsave",
    "to_json", "to_excel", "to_html", "save_pretrained", "copyfile", "copy2",
}  # fmt: skip
# temporary folders and what goes through `arrays.writing` in the same function; what vanishes with the job
MAY_WRITE = {"arrays.py", "tinymodel.py", "scratch.py"}
# scipy's and statsmodels' tests that know no autocorrelation
PARAMETRIC = "pearsonr|spearmanr|kendalltau|linregress|ttest_.*|f_oneway|wilcoxon|mannwhitneyu|combine_pvalues|OLS"
PICKLES = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


def names(tree: ast.AST) -> set[str]:
    """Names of everything called, without what it is called on."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


def imported(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_nothing_but_the_one_writer_writes_and_nothing_unpickles(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name not in MAY_WRITE:
        # a figure goes to memory, not to a file
        allowed = {"savefig"} if path.parent.name == "report" else set()
        assert names(tree) & (WRITERS - allowed) == set()
    assert {name.split(".")[0] for name in imported(tree)} & PICKLES == set()
    assert names(tree) & {"read_pickle"} == set()
    assert {getattr(n.func, "id", "") for n in ast.walk(tree) if isinstance(n, ast.Call)} & {
        "eval",
        "exec",
        "compile",
    } == set()
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"shell\s*=\s*True|allow_pickle\s*=\s*True|trust_remote_code\s*=\s*True|yaml\.load\(|torch\.load\(", text
    )


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_random_numbers_come_from_named_streams(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"np\.random\.(seed|rand|randn|normal|randint|choice|shuffle|permutation)\(", text)
    assert not re.search(r"^import random$|^from random import", text, flags=re.M)


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: p.relative_to(REPOSITORY).as_posix())
def test_no_p_comes_from_a_test_that_takes_samples_for_independent(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    taken = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | taken
    assert not [name for name in used if re.fullmatch(PARAMETRIC, name)]


def test_the_floors_hold():
    done = subprocess.run(
        [shutil.which("lint-imports") or "lint-imports"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_workflow_passes_its_linter():
    done = subprocess.run(["snakemake", "--lint"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_calls_a_verb_that_exists():
    from pipeline import stages
    from pipeline.cli import STAGES

    rules = "".join(p.read_text() for p in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    called = set(re.findall(r"python -m pipeline (\w+)", rules))
    assert called == set(STAGES)
    assert all(hasattr(stages, name) for name in called)


def test_every_wildcard_in_a_shell_is_quoted_and_constrained():
    rules = "".join(p.read_text() for p in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    used = re.findall(r"\{wildcards\.(\w+)(:q)?\}", rules)
    assert used and all(quoted for _, quoted in used)
    constrained = re.findall(r'^\s+(\w+)="\[A-Za-z0-9\]\+"', (REPOSITORY / "Snakefile").read_text(), flags=re.M)
    assert {name for name, _ in used} <= set(constrained)


def test_help_and_planning_import_no_heavy_library():
    code = "import sys, pipeline.cli; print(sorted(m for m in sys.modules if m in {'numpy', 'torch', 'transformers', 'pydantic'}))"
    assert subprocess.run(["python", "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    code = "import sys, pipeline.config, pipeline.encoding; print(sorted(m for m in sys.modules if m in {'torch', 'transformers', 'nilearn.maskers', 'sklearn'}))"
    assert subprocess.run(["python", "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


COMPONENTS = (
    {
        f"{section}.{kind}": component
        for section, table in (("dataset", DATASETS), ("recordings", RECORDINGS), ("models", MODELS))
        for kind, component in table.items()
    }
    | {"study": Study}
    | {
        n: f.annotation
        for n, f in Study.model_fields.items()
        if isinstance(f.annotation, type) and issubclass(f.annotation, Settings)
    }
)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_setting_is_described(name):
    silent = [
        field for field, info in COMPONENTS[name].model_fields.items() if field != "kind" and not info.description
    ]
    assert silent == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_setting_is_used(name):
    code = "".join(p.read_text(encoding="utf-8") for p in PACKAGE)
    unused = [
        f for f in COMPONENTS[name].model_fields if f != "kind" and not re.search(rf"\.{f}\b|[\"']{f}[\"']", code)
    ]
    assert unused == []


def test_the_project_speaks_of_no_machine():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.split()
    places = re.compile(r"(?<![\w.~<…])/(home|root|work|opt)/[A-Za-z]")
    found = [
        name for name in listed
        if (path := REPOSITORY / name).suffix in {".py", ".md", ".yaml", ".toml", ".smk", ".txt"} and path.exists()
        and not name.startswith("tests/") and places.search(path.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert found == []
