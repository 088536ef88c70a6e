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
