"""Raw measurements are passed on: no name of a machine leaves with them."""

from dataclasses import replace

from measured import measured

from core.formats.own.raw_json import read, write
from core.model.architecture import Architecture


def named(host):
    m = measured(Architecture(2, 64, 2, 2, 32, 128, 512))
    environment = {**m.environment, "host": host, "torch": "2.9"}
    return replace(m, device=replace(m.device, host=host), environment=environment)


def test_machines_are_told_apart_without_their_names():
    hosts = ("alices-laptop", "node17", "alices-laptop", "")
    text = write([named(host) for host in hosts])
    assert "alice" not in text and "node17" not in text
    back = read(text, "raw.json")
    found = [m.device.host for m in back]
    assert found[0] == found[2] != found[1] and found[3] == ""
    assert all(m.environment["torch"] == "2.9" for m in back)
    # what was read can be passed on again and is the same
    assert write(back) == text
