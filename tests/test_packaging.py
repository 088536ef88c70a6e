"""What can be checked of the bundle's description without building it."""

import ast
import importlib
import os
import plistlib
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def names_of(requirements):
    return {re.match(r"[\w-]+", text)[0].lower() for text in requirements}


def test_the_engine_installs_without_qt_and_without_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: names_of(rows) for name, rows in project["optional-dependencies"].items()}
    assert not names_of(project["dependencies"]) & {"torch", "psutil", "pyqtgraph"}
    assert not any("pyside" in name for name in names_of(project["dependencies"]))
    assert {"pyqtgraph", "pyside6-essentials"} <= extras["gui"]
    assert {"torch", "psutil"} <= extras["measure"]


def test_the_set_up_installs_extras_that_exist_and_pins_all_they_name(monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGING))
    run = importlib.import_module("run")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = names_of(
        line.replace("_", "-")
        for line in run.CONSTRAINTS.read_text().splitlines()
        if not line.startswith("#")
    )
    asked = names_of(text.replace("_", "-") for text in project["dependencies"])
    for extras in run.EXTRAS.values():
        for extra in extras.split(","):
            rows = project["optional-dependencies"][extra]
            asked |= names_of(text.replace("_", "-") for text in rows)
    assert asked <= pinned, asked - pinned


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for name in ("core", "gui") for path in (ROOT / name).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def spec_values():
    """Keyword arguments of the spec's calls by the name called."""
    tree = ast.parse((PACKAGING / "paretoscope.spec").read_text())
    return {
        call.func.id: {k.arg: k.value for k in call.keywords}
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }


def test_the_spec_is_sound_python_and_names_files_that_exist():
    compile((PACKAGING / "paretoscope.spec").read_text(), "paretoscope.spec", "exec")
    for name in re.findall(
        r'"packaging" / "(\w+\.py)"', (PACKAGING / "paretoscope.spec").read_text()
    ):
        assert (PACKAGING / name).is_file()


def test_the_property_list_of_macos_declares_the_document():
    info = ast.literal_eval(spec_values()["BUNDLE"]["info_plist"])
    assert plistlib.loads(plistlib.dumps(info)) == info
    (document,) = info["CFBundleDocumentTypes"]
    assert document["CFBundleTypeExtensions"] == ["paretoscope"]


def test_every_system_has_the_same_version():
    script = (PACKAGING / "windows" / "paretoscope.iss").read_text()
    assert re.search(r'#define AppVersion "(.+)"', script)[1] == VERSION
    told = (PACKAGING / "windows" / "version.txt").read_text()
    numbers = re.search(r"filevers=\((.+?)\)", told)[1].replace(" ", "").split(",")
    assert ".".join(numbers[:3]) == VERSION
    assert f'"FileVersion", "{VERSION}"' in told
    ast.parse(told)


def test_the_windows_script_names_only_what_the_builder_makes():
    script = (PACKAGING / "windows" / "paretoscope.iss").read_text()
    for path in re.findall(r"\\\\?(build\\icons\\\S+|LICENSE)", script):
        name = Path(path.replace("\\", "/")).name
        assert name in ("paretoscope.ico", "LICENSE")
    sections = re.findall(r"^\[(\w+)\]$", script, re.M)
    assert sections == ["Setup", "Files", "Icons", "Registry", "Run"]


def test_the_mime_type_knows_a_project_by_its_first_bytes(tmp_path):
    from core.project.project import Project

    Project.create(tmp_path / "a.paretoscope").close()
    head = (tmp_path / "a.paretoscope").read_bytes()[:100]
    tree = ElementTree.parse(PACKAGING / "linux" / "paretoscope-mime.xml")
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    outer = tree.find(".//m:magic/m:match", space)
    inner = outer.find("m:match", space)
    assert head.startswith(b"SQLite format 3\0")
    assert outer.get("value").startswith("SQLite format 3")
    at = int(inner.get("offset"))
    assert struct.unpack(">I", head[at : at + 4])[0] == int(inner.get("value"), 16)
    assert tree.find(".//m:glob", space).get("pattern") == "*.paretoscope"


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_installer_puts_everything_in_place_and_takes_it_away(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "share" / "icons").mkdir(parents=True)
    for name in ("paretoscope", "paretoscope-cli"):
        (bundle / name).write_text("#!/bin/sh\n")
    for path in (PACKAGING / "linux").iterdir():
        (bundle / "share" / path.name).write_bytes(path.read_bytes())
    for size in (16, 24, 32, 48, 64, 128, 256, 512):
        (bundle / "share" / "icons" / f"paretoscope-{size}.png").write_bytes(b"png")
    (bundle / "share" / "icons" / "paretoscope.svg").write_bytes(b"svg")
    installer = bundle / "install.sh"
    (bundle / "share" / "install.sh").replace(installer)
    home = tmp_path / "a home"
    environment = os.environ | {"HOME": str(home), "PREFIX": str(home)}

    def run(*arguments):
        subprocess.run(["sh", installer, *arguments], env=environment, check=True, timeout=600)

    run()
    run()  # again, over itself
    assert (home / "bin" / "paretoscope").resolve() == home / "lib" / "paretoscope" / "paretoscope"
    entry = (home / "share" / "applications" / "paretoscope.desktop").read_text()
    assert f'Exec="{home}/lib/paretoscope/paretoscope" %f' in entry
    assert "MimeType=application/x-paretoscope;" in entry
    assert (home / "share" / "mime" / "packages" / "paretoscope.xml").exists()
    assert (home / "share/icons/hicolor/64x64/apps/paretoscope.png").exists()
    assert (home / "share/icons/hicolor/scalable/apps/paretoscope.svg").exists()
    (home / "share" / "mine").write_text("kept")
    run("--remove")
    # the desktop's own indexes of what is installed stay
    left = sorted(
        p.name
        for p in home.rglob("*")
        if p.is_file() and "mime" not in p.parts and p.suffix != ".cache"
    )
    assert left == ["mine"]


@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="no validator here")
def test_the_desktop_entry_is_valid(tmp_path):
    done = subprocess.run(
        ["desktop-file-validate", PACKAGING / "linux" / "paretoscope.desktop"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGING))
    return importlib.import_module("walk"), importlib.import_module("clean_root")


def test_the_bare_root_gets_what_the_application_asks_for_and_no_more(scripts):
    from gui.app.system_libraries import missing_message

    clean_root = scripts[1]
    said = f"paretoscope: {missing_message(['libegl1', 'libxcb-cursor0'])}\n"
    assert clean_root.named_packages(said) == ["libegl1", "libxcb-cursor0"]
    assert clean_root.named_packages("paretoscope: there is no display\n") == []


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_within_another_root_the_same_program_is_started_from_there(scripts, tmp_path):
    walk = scripts[0]
    home = Path("/home/user")
    place = walk.Place(home / "bin", home, tmp_path)
    command = place.command("paretoscope", "--walk", home / "walk")
    assert command[-4:] == [
        str(tmp_path),
        "/home/user/bin/paretoscope",
        "--walk",
        "/home/user/walk",
    ]
    assert place.outside(home / "walk") == tmp_path / "home/user/walk"
    subprocess.run(["sh", "-n", "-c", walk.ENTER], check=True, timeout=600)
    # here: the program itself, and no Python to be found
    here = walk.Place(tmp_path / "bin", tmp_path)
    assert here.command("paretoscope") == [str(tmp_path / "bin" / "paretoscope")]
    assert here.environment()["PATH"] == str(tmp_path)


def test_the_walk_measures_enough_shapes_for_a_law():
    from core.fit.latency_terms import MIN_SHAPES
    from core.space.space_file import parse_space
    from gui.shell.walk import MEASURED, SPACE

    shapes = {point.architecture for point in parse_space(SPACE).measurement_points()}
    assert len(shapes) >= MEASURED + 2
    assert MEASURED >= MIN_SHAPES


def test_icons_are_whole_containers(tmp_path):
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(
        [sys.executable, PACKAGING / "make_icons.py", tmp_path],
        env=environment,
        check=True,
        timeout=600,
    )
    ico = (tmp_path / "paretoscope.ico").read_bytes()
    count = struct.unpack("<HHH", ico[:6])[2]
    for i in range(count):
        size, offset = struct.unpack("<II", ico[6 + 16 * i + 8 : 6 + 16 * i + 16])
        assert ico[offset : offset + 8] == b"\x89PNG\r\n\x1a\n"
        assert offset + size <= len(ico)
    icns = (tmp_path / "paretoscope.icns").read_bytes()
    assert icns[:4] == b"icns"
    assert struct.unpack(">I", icns[4:8])[0] == len(icns)


def needed_by_the_bundle():
    """The spec's own choice of files."""
    tree = ast.parse((PACKAGING / "paretoscope.spec").read_text())
    (choice,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "needed"]
    names = {}
    exec(compile(ast.Module([choice], []), "paretoscope.spec", "exec"), names)
    return lambda path: names["needed"]((path, path, "BINARY"))


def test_of_cuda_what_torch_links_stays_and_what_it_opens_for_decompositions_goes():
    needed = needed_by_the_bundle()
    # NEEDED of libtorch_cuda.so and libtorch_python.so, and what those open by name
    linked = "cudart.so.13 cusparse.so.12 cufft.so.12 cufile.so.0 curand.so.10 cublas.so.13 cublasLt.so.13"
    linked += " nvrtc.so.13 nvrtc-builtins.so.13.0 nvJitLink.so.13 cupti.so.13"
    for name in linked.split():
        assert needed(f"nvidia/cu13/lib/lib{name}"), name
        assert needed(f"lib{name}"), name
    for name in ("cudnn/lib/libcudnn_graph.so.9", "nccl/lib/libnccl.so.2"):
        assert needed(f"nvidia/{name}"), name
    for name in ("cuda", "python", "cpu", "nvshmem"):
        assert needed(f"torch/lib/libtorch_{name}.so"), name
    # the second name is a link at the top
    for name in ("nvidia/cu13/lib/libcusolver.so.12", "libcusolver.so.12"):
        assert not needed(name), name
    assert not needed("torch/lib/libtorch_cuda_linalg.so")


def test_an_archive_with_cuda_inside_is_named_for_it(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PACKAGING))
    build = importlib.import_module("build")
    libraries = tmp_path / "_internal" / "torch" / "lib"
    libraries.mkdir(parents=True)
    (libraries / "libtorch_cpu.so").touch()
    assert build.variant(tmp_path) == ""
    (libraries / "libtorch_cuda.so").touch()
    assert build.variant(tmp_path) == "-cuda"
