"""Files that hold one run each, alone and in a folder of them."""

import json
import shutil
from pathlib import Path

import pytest

from core import __main__ as command_line
from core.document import open_document
from core.errors import Unusable
from core.formats.detect import what_file
from core.formats.results.reading import read_results
from core.formats.runs.reading import load
from core.formats.runs.single.run_files import RunFile, kind_of, run_files

SINGLE = Path(__file__).parents[3] / "fixtures" / "runs" / "single"
FILES = sorted(p for p in SINGLE.rglob("*") if p.suffix in (".json", ".csv") and p.stem != "config")
kinds = pytest.mark.parametrize("kind", run_files(), ids=lambda kind: kind.title)


@kinds
def test_its_files_are_its_own(kind: RunFile):
    own = [p for p in FILES if kind.recognises(open_document(p))]
    assert own, "there is no fixture of this kind"
    for path in own:
        document = open_document(path)
        assert kind_of(document) is kind
        assert all(other is kind or not other.recognises(document) for other in run_files())
        assert kind.read(document).row["name"]
        with pytest.raises(Unusable):
            read_results(path)


@pytest.mark.parametrize("folder", sorted(p.name for p in SINGLE.iterdir()))
def test_a_folder_of_runs_is_a_table(folder, tmp_path):
    found = what_file(SINGLE / folder)
    assert found.kind == "runs" and found.value.reading.runs.loss_meaning == "validation"
    shutil.copytree(SINGLE / folder, tmp_path / "x")
    (tmp_path / "x" / "broken.json").write_text("{")
    assert any("1 files cannot be read" in note for note in load(tmp_path / "x").notes)


def values(folder):
    runs = load(SINGLE / folder).runs
    return {name: {k: v[i] for k, v in runs.columns.items()} for i, name in enumerate(runs.names)}


def test_the_last_checkpoint_of_a_trainer_counts():
    found = values("trainer")
    assert list(found) == ["run-a/checkpoint-200", "run-b/checkpoint-200"]
    a, b = found.values()
    assert (a["loss"], a["tokens"], a["params_non_embedding"]) == (3.9, 2e8, 5e6)
    # tokens from total_flos and the shape beside it
    assert b["tokens"] == pytest.approx(3e8) and b["n_layers"] == 2


def test_logs_are_read_to_their_last_values():
    _, large = values("lightning").values()
    assert (large["loss"], large["tokens"], large["params_total"]) == (3.3, 2e8, 4e7)
    found = values("ladder")
    assert found["370M-1xC"]["params_total"] == 370e6
    assert found["190M-2xC"]["loss"] == 3.1 and found["190M-2xC"]["tokens"] == 7.6e9


def test_the_losses_of_open_lm_are_kept_apart():
    found = values("open_lm")["demo-d=96_l=8_h=4-1.0"]
    assert (found["loss"], found["loss on openlm"]) == (5.0, 6.0)
    assert (found["tokens"], found["d_model"], found["n_layers"]) == (211386240, 96, 8)


def test_what_one_run_lacks_is_said(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train_loss,val_loss\n0,1,4.0,\n0,2,,4.1\n")
    with pytest.raises(Unusable, match=r"no column for training tokens .* and a size"):
        load(path)
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"global_step": 3, "log_history": ["x", {"loss": "y"}]}))
    with pytest.raises(Unusable, match="a loss"):
        load(path)


def test_the_command_fits_a_folder_of_runs(tmp_path, capsys):
    for i in range(12):
        n, d = 1e8 * (1 + i % 4), 2e9 * (1 + i // 4)
        loss = 1.7 + 400 / n**0.34 + 410 / d**0.28
        text = f"step,tokens,val_loss\n10,{d / 2:.0f},{loss + 1}\n20,{d:.0f},{loss}\n"
        (tmp_path / f"{n / 1e6:.0f}M-{d / 1e9:.0f}.csv").write_text(text)
    assert command_line.main(["fit", str(tmp_path), "--law", "chinchilla", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["reading"]["rows"] == 12


def test_the_steps_of_a_chart_are_passed_over():
    """W&B writes its own '_step' beside each series where another x axis was chosen."""
    with pytest.raises(Unusable, match="no column for a size"):
        load(SINGLE.parent / "wandb_chart_epoch.csv")
