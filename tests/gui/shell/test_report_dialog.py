import json
import re
import zlib

from PySide6.QtGui import QGuiApplication
from showing import window  # noqa: F401

from core.pareto.limits import parse_limit
from core.report.svg import HEIGHT, WIDTH
from gui.shell.about import AboutDialog
from gui.shell.report_dialog import ReportDialog, document_of, picture_image, report_steps


def written(qtbot, window, path, title=""):  # noqa: F811
    dialog = ReportDialog(window.store, window.settings, window)
    dialog.name.setText(title)
    dialog.top.setValue(4)
    dialog.write(path)
    qtbot.waitUntil(lambda: dialog.outcome.text() != "", timeout=30_000)
    outcome = dialog.outcome.text()
    dialog.close()
    return outcome


def test_the_page_holds_what_the_window_shows(qtbot, window, tmp_path):  # noqa: F811
    window.store.choose(limits=(parse_limit("tpot<=3ms"),))
    outcome = written(qtbot, window, tmp_path / "r.html", "Ours")
    assert "r.html" in outcome and "Written" in outcome
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    facts = json.loads(re.search(r'paretoscope-report">(.*?)</script>', page, re.S)[1])
    state = window.store.state
    assert facts["candidates"][0]["id"] == state.table.id_of(state.frame.selected)
    assert facts["project"] == "tiny.paretoscope"
    assert window.plot_view.sentence.first.text() == facts["sentences"][0]
    assert "<title>Ours</title>" in page


def test_the_pdf_has_pages_text_and_the_picture(qtbot, window, tmp_path):  # noqa: F811
    path = tmp_path / "r.pdf"
    assert "Written" in written(qtbot, window, path, "Ours")
    data = path.read_bytes()
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    pages = int(re.search(rb"/Type /Pages.*?/Count (\d+)", data, re.S)[1])
    assert 2 <= pages <= 12
    # the picture at three times its size, so that it is sharp on paper
    sizes = re.findall(rb"/Width (\d+)\s*/Height (\d+)", data)
    assert (str(3 * WIDTH).encode(), str(3 * HEIGHT).encode()) in sizes
    assert b"/FontFile" in data


def test_a_place_that_cannot_be_written_is_reported(qtbot, window, tmp_path):  # noqa: F811
    outcome = written(qtbot, window, tmp_path / "nowhere" / "r.html")
    assert "nowhere" in outcome and "Written" not in outcome
    outcome = written(qtbot, window, tmp_path / "nowhere" / "r.pdf")
    assert "cannot be written" in outcome


def test_simple_renderers_show_the_whole_page(window):  # noqa: F811
    from core.records.progress import outcome

    report = outcome(report_steps(window.store.state, "Ours", 4))
    document = document_of(report, 700)
    text = document.toPlainText()
    for part in ("Ours", "Limits", "Candidates", "Laws", "How to repeat it", "paretoscope-cli"):
        assert part in text
    assert document.size().width() <= 710
    image = picture_image(report, 1)
    assert (image.width(), image.height()) == (WIDTH, HEIGHT)
    colours = {
        image.pixelColor(x, y).name() for x in range(0, WIDTH, 2) for y in range(0, HEIGHT, 2)
    }
    assert "#0b3d6b" in colours and "#d55e00" in colours
    assert zlib.crc32(report.svg.encode()) == zlib.crc32(
        outcome(report_steps(window.store.state, "Ours", 4)).svg.encode()
    )


def test_copied_text_and_picture(window):  # noqa: F811
    window.store.choose(limits=(parse_limit("tpot<=3ms"),))
    window.share_actions.copy_text()
    text = QGuiApplication.clipboard().text()
    assert text.startswith(window.plot_view.sentence.first.text())
    assert "--limit 'tpot:p50<=3ms'" in text
    assert "~ predicted" in text
    window.share_actions.copy_picture()
    assert QGuiApplication.clipboard().image().width() == 1920


def test_about_names_version_and_licences(qtbot, window):  # noqa: F811
    about = AboutDialog(window)
    qtbot.addWidget(about)
    names = [row.name for row in about.rows]
    at = names.index("PySide6_Essentials")
    about.list.setCurrentItem(about.list.topLevelItem(at))
    assert "LGPL-3.0" in about.list.topLevelItem(at).text(2)
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in about.text.toPlainText()
