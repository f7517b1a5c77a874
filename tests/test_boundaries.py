"""The import rules that keep the parts apart (design, section 6)."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "ray", "pyarrow", "numpy", "av", "cv2", "pandas", "sklearn", "matplotlib"}
LIGHT_STAGES = {"pipeline", "paths", "records", "settings", "errors"}


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; TYPE_CHECKING blocks do not count, as they never run."""
    for node in _nodes(ast.parse(path.read_text()), top_level_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _nodes(tree: ast.AST, top_level_only: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if is_typing or (top_level_only and is_function):
            continue
        yield node
        yield from _nodes(node, top_level_only)


def offenders(paths: list[Path], banned: set[str], top_level_only: bool = False) -> list[str]:
    found = ((path, name) for path in paths for name in imports(path, top_level_only))
    return [f"{path.relative_to(ROOT)}: {name}" for path, name in found if name.split(".")[0] in banned]


def test_stages_and_models_know_no_airflow() -> None:
    assert offenders(files("stages", "models"), {"airflow", "dags", "operators", "infra"}) == []


def test_models_know_no_ray_and_no_stages() -> None:
    assert offenders(files("models"), {"ray", "stages", "obstore"}) == []


def test_dags_and_operators_import_nothing_heavy() -> None:
    assert offenders(files("dags", "operators"), HEAVY, top_level_only=True) == []
    names = {name for path in files("dags", "operators") for name in imports(path) if name.startswith("stages.")}
    assert names <= {f"stages.{name}" for name in LIGHT_STAGES}


def test_one_door_per_heavy_library() -> None:
    assert {line.split(":")[0] for line in offenders(files("stages", "operators", "dags", "infra"), {"ray"})} == {
        "stages/runner.py",
        "stages/ray_train.py",
    }
    everywhere = files("stages", "models", "operators", "dags", "infra")
    assert {line.split(":")[0] for line in offenders(everywhere, {"obstore"})} == {"stages/storage.py"}
    assert offenders(everywhere, {"s3fs", "boto3", "fsspec"}) == [
        "stages/storage.py: fsspec.implementations.local",
        "stages/storage.py: s3fs",
    ]


def test_object_keys_are_built_in_one_module() -> None:
    prefix = re.compile(r"""f?["'](\d_[a-z]+|_ledger|_quarantine|_pointers|models/(idm|filter))/""")
    code = [path for path in files("stages", "operators", "dags", "infra") if path.name != "paths.py"]
    found = []
    for path in code:
        tree = ast.parse(path.read_text())
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        strings = [
            n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docs
        ]
        found += [f"{path.name}: {n.value}" for n in strings if prefix.match(repr(n.value)) and "see " not in n.value]
    assert found == []


def test_inits_are_empty() -> None:
    assert [
        p for p in files("stages", "models", "operators", "dags", "infra") if p.name == "__init__.py" and p.read_text()
    ] == []


def test_no_pickle_is_read_on_a_worker() -> None:
    """Only the offline converter and the sandbox, which reads what its own child wrote, may unpickle."""
    allowed = {"models/unpickle.py", "models/convert.py", "stages/sandbox.py"}
    found = offenders(files("stages", "models"), {"pickle", "cloudpickle", "dill", "joblib"})
    assert {line.split(":")[0] for line in found} <= allowed
    loads = [p for p in files("stages", "models") if "torch.load(" in p.read_text()]
    assert all("weights_only=True" in p.read_text() for p in loads)


@pytest.mark.parametrize("package", ["stages", "models"])
def test_modules_import_without_airflow(package: str) -> None:
    """A finder that refuses airflow sees indirect imports too."""
    names = [
        f"{package}.{path.stem}" for path in files(package) if path.parent.name == package and path.stem != "__init__"
    ]
    banned = ["airflow"] + (["ray"] if package == "models" else [])
    code = (
        "import sys, importlib\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        assert name.split('.')[0] not in {banned!r}, name\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    )
