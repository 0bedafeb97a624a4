"""What holds of the project's frame: the locks, the environment that dev.py makes of them, the packages."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ["requirements.lock", "requirements-test.lock"]
INFO = f"onrecord-{PYPROJECT['project']['version']}.dist-info"
IMPORT = r"(?m)^\s*(?:import|from) (\w+)"
MODULES = {  # where the import has another name
    "huggingface-hub": "huggingface_hub",
    "jsonschema-rs": "jsonschema_rs",
    "pyyaml": "yaml",
}
SCHEMAS = {file.name for file in (ROOT / "schema").glob("*.schema.json")}


def pins(lock):
    """What a lock pins: name to versions, and the lines' hashes."""
    found = {}
    for entry in (ROOT / lock).read_text("utf-8").replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        parsed = Requirement(requirement)
        found.setdefault(canonicalize_name(parsed.name), []).append((str(parsed.specifier), hashes))
    return found


# -- locks ---------------------------------------------------------------------------------------------------


@pytest.mark.security("supply chain")
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_names_markers_and_hashes_only(lock):
    line = re.compile(r"[a-z0-9][a-z0-9._-]*==[^\s/]+( ; [^/:@]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    strange = [text for text in (ROOT / lock).read_text("utf-8").splitlines() if not line.fullmatch(text)]
    assert strange == []


@pytest.mark.security("supply chain")
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_one_version_with_its_hashes(lock):
    for name, entries in pins(lock).items():
        assert len(entries) == 1, f"{name} has a version for one Python and another for another"
        assert entries[0][1], f"{name} has no hash"


def test_every_core_dependency_is_locked_within_its_bounds():
    locked = pins("requirements.lock")
    for text in PYPROJECT["project"]["dependencies"]:
        wanted = Requirement(text)
        ((pin, _),) = locked[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(pin.removeprefix("==")), f"{wanted.name} is locked as {pin}"


def test_the_second_lock_only_adds_to_the_first():
    assert not set(pins("requirements.lock")) & set(pins("requirements-test.lock"))


@pytest.mark.security("supply chain")
def test_torch_is_in_no_lock():
    locked = {name for lock in LOCKS for name in pins(lock)}
    assert not {name for name in locked if name.startswith(("torch", "nvidia", "triton"))}


def test_a_core_dependency_is_one_that_the_package_or_the_readme_imports():
    read = [*(ROOT / "scripts" / "onrecord").rglob("*.py"), ROOT / "README.md"]
    imported = {name for file in read for name in re.findall(IMPORT, file.read_text("utf-8"))}
    declared = {canonicalize_name(Requirement(text).name) for text in PYPROJECT["project"]["dependencies"]}
    unused = {name for name in declared if MODULES.get(name, name) not in imported}
    assert unused == set()


# -- dev.py --------------------------------------------------------------------------------------------------


def loaded(file):
    spec = importlib.util.spec_from_file_location("dev_under_test", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dev(tmp_path):
    """A copy of dev.py over a small repository, with every command it would run noted and not run."""
    (tmp_path / "scripts").mkdir()
    copy = shutil.copy(ROOT / "scripts" / "dev.py", tmp_path / "scripts" / "dev.py")
    for name in [*LOCKS, "pyproject.toml"]:
        (tmp_path / name).write_text(f"{name}, first edition\n")
    module = loaded(copy)
    module.ran = []
    module.codes = {}

    def run(command, folder):
        module.ran.append(command[0] if command[0] != "python" else command[-1])
        if "venv" in command:
            shutil.rmtree(module.VENV, ignore_errors=True)
            module.BIN.mkdir(parents=True)
            (module.BIN / "python").symlink_to(sys.executable)
        return module.codes.get(module.ran[-1], 0)

    module.run = run
    return module


def runs(dev, *arguments):
    dev.ran.clear()
    dev.main(list(arguments))
    return dev.ran


def test_a_second_run_installs_nothing(dev):
    assert runs(dev, "build") == [sys.executable, "requirements.lock", ".", "onrecord"]
    assert runs(dev, "build") == ["onrecord"]


def test_tests_add_their_lock_to_what_is_there(dev):
    runs(dev, "build")
    assert runs(dev, "test") == ["requirements-test.lock", "pytest"]
    assert runs(dev, "test") == ["pytest"]
    assert runs(dev, "build") == ["onrecord"]


def test_either_may_come_first(dev):
    assert runs(dev, "test")[-2:] == ["requirements-test.lock", "pytest"]
    assert runs(dev, "build") == ["onrecord"]


def test_a_changed_lock_begins_a_new_environment(dev):
    runs(dev, "test")
    (dev.ROOT / "requirements.lock").write_text("second edition\n")
    assert runs(dev, "test") == [
        sys.executable, "requirements.lock", ".", "requirements-test.lock", "pytest",
    ]  # fmt: skip


def test_a_changed_pyproject_installs_only_the_package_again(dev):
    runs(dev, "test")
    (dev.ROOT / "pyproject.toml").write_text("second edition\n")
    assert runs(dev, "test") == [".", "pytest"]


def test_a_half_made_environment_is_made_again(dev):
    dev.codes["requirements.lock"] = 1
    assert runs(dev, "build") == [sys.executable, "requirements.lock"]
    dev.codes.clear()
    assert runs(dev, "build") == [sys.executable, "requirements.lock", ".", "onrecord"]


def test_an_environment_whose_python_is_gone_is_made_again(dev):
    runs(dev, "build")
    (dev.BIN / "python").unlink()
    assert runs(dev, "build")[0] == sys.executable


def test_an_installation_that_fails_gives_its_code_and_one_line(dev, capsys):
    dev.codes["."] = 3
    assert dev.main(["build"]) == 3
    assert "pyproject.toml is not installed" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["build", "test"])
def test_the_command_s_exit_code_is_passed_on(dev, command):
    dev.codes = {"onrecord": 2, "pytest": 5}
    assert dev.main([command]) == {"build": 2, "test": 5}[command]


@pytest.mark.parametrize("arguments", [["bulid"], ["run"]])
def test_wrong_usage_is_64(dev, arguments, capsys):
    assert dev.main(arguments) == 64
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert dev.ran == []


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_a_python_that_is_not_supported_is_told_in_one_line(dev, version, capsys, monkeypatch):
    monkeypatch.setattr(dev.sys, "version_info", (*version, 0))
    assert dev.main(["build"]) == 1
    assert "this is {}.{}".format(*version) in capsys.readouterr().err
    assert dev.ran == []


def test_a_python_without_venv_is_told_in_one_line(dev, capsys, monkeypatch):
    monkeypatch.setattr(dev, "find_spec", lambda name: None)
    assert dev.main(["build"]) == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err


def test_dev_and_the_package_support_the_same_pythons(dev):
    supported = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert [supported.contains(f"3.{minor}") for minor in range(9, 16)] == [
        dev.OLDEST <= (3, minor) <= dev.NEWEST for minor in range(9, 16)
    ]


def test_run_stays_in_the_caller_s_folder_and_passes_a_signal_on_as_a_shell_does(tmp_path):
    real = loaded(ROOT / "scripts" / "dev.py")
    code = real.run([sys.executable, "-c", "open('here', 'w')"], tmp_path)
    assert (code, (tmp_path / "here").exists()) == (0, True)
    assert real.run([sys.executable, "-c", "raise SystemExit(7)"], tmp_path) == 7
    assert real.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"], tmp_path) == 128 + 15
    assert real.run(["no-such-command"], tmp_path) == 127


# -- packages ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and an sdist, made without a network from a copy of what is packed."""
    copy = tmp_path_factory.mktemp("repository") / "onrecord"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "tests", "dataset", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    hatch(copy)
    return copy / "dist"


def hatch(folder):
    subprocess.run([sys.executable, "-m", "hatchling", "build"], cwd=folder, check=True, capture_output=True)


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def test_the_wheel_carries_the_schemas_and_nothing_of_the_repository(built):
    names = zipfile.ZipFile(only(built, "*.whl")).namelist()
    assert {f"onrecord/schema/{name}" for name in SCHEMAS} <= set(names)
    assert {name.split("/")[0] for name in names} == {"onrecord", INFO}


def test_the_package_in_the_wheel_finds_its_schemas(built, tmp_path):
    zipfile.ZipFile(only(built, "*.whl")).extractall(tmp_path)
    program = "import json, onrecord.model as m; print(json.dumps([m.__file__, sorted(m.SCHEMAS)]))"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    module, names = json.loads(told)
    assert Path(module).is_relative_to(tmp_path), "the wheel's own package, and no schema folder near it but its own"
    assert {f"{name}.schema.json" for name in names} <= SCHEMAS
    assert {"article", "story", "release"} <= set(names)


def test_a_wheel_made_from_the_sdist_is_the_same(built, tmp_path):
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = only(tmp_path, "onrecord-*")
    assert {file.name for file in (unpacked / "schema").glob("*.json")} >= SCHEMAS
    hatch(unpacked)
    assert only(unpacked / "dist", "*.whl").read_bytes() == only(built, "*.whl").read_bytes()


def test_the_command_is_in_the_wheel(built):
    wheel = zipfile.ZipFile(only(built, "*.whl"))
    assert "onrecord = onrecord.cli:main" in wheel.read(f"{INFO}/entry_points.txt").decode()


# -- what says who we are ------------------------------------------------------------------------------------


def test_the_citation_is_valid_and_of_this_version():
    citation = ROOT / "CITATION.cff"
    check = ["check-jsonschema", "--builtin-schema", "vendor.citation-file-format", citation]
    told = subprocess.run(check, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert yaml.safe_load(citation.read_text("utf-8"))["version"] == PYPROJECT["project"]["version"]


def test_the_code_is_apache_and_the_data_cc_by():
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert (ROOT / "dataset" / "LICENSE").read_text("utf-8").startswith("Creative Commons Attribution 4.0")
