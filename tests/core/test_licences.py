import json

from core import licences as module
from core.licences import LIST, licences, packages, write_licences


def test_every_package_that_is_needed_is_named_with_its_licence():
    rows = {row.name.casefold(): row for row in licences()}
    for name in ("numpy", "scipy", "torch", "pyqtgraph", "pyside6_essentials", "psutil"):
        assert rows[name].version and rows[name].licence != "see its texts", name
    # what only tests need does not ship
    assert "pytest" not in rows
    assert any("GNU LESSER" in text for _, text in rows["pyside6_essentials"].texts)
    assert "OFL" in rows["inter (typeface)"].licence


def test_a_bundle_reads_what_its_builder_wrote(tmp_path, monkeypatch):
    here = licences()
    count = write_licences(tmp_path / "licences")
    assert count == len(packages()) == len(json.loads((tmp_path / "licences" / LIST).read_text()))
    place = module.resource
    monkeypatch.setattr(
        module, "resource", lambda name: tmp_path / name if name == "licences" else place(name)
    )
    # there is no package metadata in a bundle
    monkeypatch.setattr(module, "packages", lambda: ())
    assert licences() == here


def installed(folder, name, modules=(), requires=()):
    """A package as an installer would have left it."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: Terms of {name}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (about / "METADATA").write_text("\n".join(lines) + "\n")
    (about / "LICENSE").write_text(f"the terms of {name}")
    (about / "top_level.txt").write_text("\n".join(modules))
    for top in modules:
        # some readers of metadata leave out files that are not there
        (folder / top).mkdir(exist_ok=True)
        (folder / top / "__init__.py").touch()
    files = [f"{module}/__init__.py,," for module in modules]
    files += [
        f"{about.name}/{file},," for file in ("METADATA", "LICENSE", "top_level.txt", "RECORD")
    ]
    (about / "RECORD").write_text("\n".join(files))


def test_optional_parts_asked_for_by_name_are_named(tmp_path, monkeypatch):
    installed(
        tmp_path, "framework-x", requires=['toolkit-x[blas,Fast_FFT]==1.0; python_version>"3"']
    )
    parts = ['x-blas==1.*; (sys_platform=="linux") and extra == "blas"', "x-fft; extra=='fast-fft'"]
    installed(tmp_path, "toolkit-x", requires=[*parts, 'x-docs; extra == "docs"'])
    for name in ("x-blas", "x-fft", "x-docs"):
        installed(tmp_path, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {one.metadata["Name"] for one in packages("framework-x")}
    assert found == {"toolkit-x", "x-blas", "x-fft"}


def test_a_bundle_names_the_packages_of_what_is_inside(tmp_path, monkeypatch):
    site = tmp_path / "site"
    # several packages of one vendor share a module; one that only the builder has is not inside
    installed(site, "vendor-blas", ["vendor_x"])
    installed(site, "vendor-fft", ["vendor_x"])
    installed(site, "builder-x", ["builder_x"])
    # as one of them does, it tells of another module than it brings
    (site / "vendor_fft-1.0.dist-info" / "top_level.txt").write_text("fft_x")
    monkeypatch.syspath_prepend(str(site))
    assert write_licences(tmp_path, {"vendor_x", "core", "json", "nowhere"}) == 2
    rows = json.loads((tmp_path / LIST).read_text())
    assert [row["name"] for row in rows] == ["vendor-blas", "vendor-fft"]
    assert [text for _, text in rows[1]["texts"]] == ["the terms of vendor-fft"]
