from core.records.metric import Metric
from core.records.metrics import METRICS
from gui.panels.metric_box import MetricBox, metric_menu

BITS = Metric(
    key="bits_per_weight", short="bits", label="Bits per weight", group="Size", better="lower",
    formula="8 x bytes per weight", exact=lambda c: 8 * c.bytes_per_weight,
)  # fmt: skip


def test_a_row_added_to_the_metrics_can_be_chosen_for_an_axis_or_a_limit(qtbot, monkeypatch):
    monkeypatch.setitem(METRICS, BITS.key, BITS)
    box = MetricBox("Horizontal axis")
    qtbot.addWidget(box)
    chosen = []
    menu = metric_menu(box, None, "tpot_s", chosen.append)
    entries = {action.text(): action for action in menu.actions()}
    assert set(METRICS) <= {box.itemData(i) for i in range(box.count())}
    assert {row.label for row in METRICS.values()} <= set(entries)
    entries["Bits per weight"].trigger()
    assert chosen == ["bits_per_weight"]
    assert entries["Time per output token"].isChecked()
    box.show_metric("bits_per_weight")
    assert "8 x bytes per weight" in box.toolTip()
