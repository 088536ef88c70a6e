"""One derivation makes each number once."""

from core.analysis import pipeline
from core.analysis.derivation import Inputs, derive
from core.errors import Unusable
from core.fit.resample import outcome
from core.project.demo import demo_in_memory, recorded_sweep
from core.samples import statistics


def test_every_measurement_is_summarised_once_per_phase(monkeypatch):
    """The recorded sweep: laws and columns share the medians, and nothing unasked is worked out."""
    made = []
    summarise = statistics.summarise

    def counted(blocks, statistic):
        made.append(statistic)
        return summarise(blocks, statistic)

    def no_loss_law(contents, choices):
        raise Unusable("left out of this test")

    monkeypatch.setattr(statistics, "summarise", counted)
    monkeypatch.setattr(pipeline, "fit_loss", no_loss_law)
    project = demo_in_memory()
    contents, choices = pipeline.read_contents(project), project.choices()
    derived = outcome(derive(Inputs(contents, choices), None))
    assert derived.table is not None and derived.frame is not None
    phases = ("ttft", "tpot", "e2e")
    assert len(made) == len(phases) * len(recorded_sweep())
