"""The report's dialog: title, how many candidates, and HTML or PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QMarginsF, QRectF, QSizeF, Qt, QUrl, Slot
from PySide6.QtGui import (
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextDocument,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.errors import Unusable
from core.records.progress import Steps
from core.report.html import PICTURE, STYLE, TOP, Report, make_report, to_html
from core.report.svg import HEIGHT, WIDTH
from gui.app.settings import Settings
from gui.panels.view import HELP_PAGE
from gui.state.job import Job
from gui.state.state import State
from gui.state.store import Store

FILTER = "Web page (*.html);;PDF (*.pdf)"
# pixels of a PDF's picture per pixel of its own: sharp at 300 dots per inch across the page
SHARP = 3


class ReportDialog(QDialog):
    """Asks for a title and a file, writes the report off the window's thread, shows where it is."""

    def __init__(self, store: Store, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty(HELP_PAGE, "formats.md")
        self._store = store
        self._settings = settings
        self._job: Job | None = None
        self._path = Path()
        self.setWindowTitle("Report")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.name = QLineEdit(self)
        self.name.setPlaceholderText(f"{store.state.contents.name}: what was chosen and why")
        self.name.setAccessibleName("Title of the report")
        self.top = QSpinBox(self)
        self.top.setRange(1, 100)
        self.top.setValue(TOP)
        self.top.setAccessibleName("How many candidates of the front")
        about = QLabel(
            "One self-contained file: the picture, the chosen candidates with intervals and"
            " sources, limits, laws with their errors on data left out, the machine, and the"
            " commands that reproduce it.",
            self,
        )
        about.setWordWrap(True)
        about.setProperty("quiet", True)
        self.outcome = QLabel("", self)
        self.outcome.setWordWrap(True)
        self.outcome.setOpenExternalLinks(True)
        self.outcome.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.busy = QProgressBar(self)
        self.busy.setRange(0, 0)
        self.busy.hide()
        form = QFormLayout()
        form.addRow("&Title", self.name)
        form.addRow("&Candidates of the front", self.top)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.write_button = self.buttons.addButton("Write…", QDialogButtonBox.ButtonRole.ActionRole)
        self.write_button.setProperty("leading", True)
        self.write_button.clicked.connect(self.on_write)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(about)
        column.addLayout(form)
        column.addWidget(self.outcome)
        column.addWidget(self.busy)
        column.addWidget(self.buttons)
        self.setMinimumWidth(520)

    @Slot()
    def on_write(self) -> None:
        """Ask where, then write."""
        folder = self._settings["folder"] or str(Path.home())
        name = f"{self._store.state.contents.name or 'report'}.html"
        path, chosen = QFileDialog.getSaveFileName(
            self, "Write the report", str(Path(folder) / name), FILTER
        )
        if path:
            target = Path(path)
            if not target.suffix:
                target = target.with_suffix(".pdf" if "pdf" in chosen else ".html")
            self._settings["folder"] = str(target.parent)
            self.write(target)

    def write(self, path: Path) -> None:
        """Write the report of what is shown now to this path; PDF by its ending."""
        state, title, top = self._store.state, self.name.text().strip(), self.top.value()
        if state.frame is None:
            self.outcome.setText("There is nothing to report yet.")
            return
        self._path = path
        self.outcome.setText("")
        self.busy.show()
        self.write_button.setEnabled(False)
        job = self._store.background(lambda: report_steps(state, title, top), lane="report")
        job.returned.connect(self.on_made)
        job.failed.connect(self.on_failed)
        self._job = job

    @Slot(object)
    def on_made(self, report: Report) -> None:
        """Write the report that was made."""
        try:
            if self._path.suffix.lower() == ".pdf":
                write_pdf(report, self._path)
            else:
                from core.files import write_atomically

                write_atomically(self._path, to_html(report), True)
        except Unusable as error:
            self._show_result(str(error))
            return
        link = QUrl.fromLocalFile(str(self._path)).toString()
        self._show_result(f'Written: <a href="{link}">{self._path.name}</a>')

    @Slot(object)
    def on_failed(self, error: BaseException) -> None:
        """Show why the report could not be made."""
        self._show_result(str(error))

    def _show_result(self, text: str) -> None:
        self.outcome.setText(text)
        self.busy.hide()
        self.write_button.setEnabled(True)


def report_steps(state: State, title: str, top: int) -> Steps[Any]:
    """Steps that return the report of a state."""
    assert state.table is not None and state.frame is not None and state.laws is not None
    project = "demo" if state.demo else Path(state.path).name
    return (
        yield from make_report(
            state.contents,
            state.laws,
            state.table,
            state.frame,
            state.choices,
            project=project,
            title=title,
            top=top,
        )
    )


def picture_image(report: Report, factor: int = SHARP) -> QImage:
    """The report's picture drawn `factor` times its own size."""
    image = QImage(WIDTH * factor, HEIGHT * factor, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer = QSvgRenderer(QByteArray(report.svg.encode()))
    renderer.render(painter, QRectF(0, 0, image.width(), image.height()))
    painter.end()
    return image


def document_of(report: Report, width: float) -> QTextDocument:
    """The report as a document of this width in its own pixels."""
    document = QTextDocument()
    document.setDefaultStyleSheet(STYLE)
    picture = picture_image(report)
    document.addResource(QTextDocument.ResourceType.ImageResource, QUrl("picture"), picture)
    high = round(width * HEIGHT / WIDTH)
    image = f'<img src="picture" width="{round(width)}" height="{high}">'
    document.setHtml(report.body.replace(PICTURE, image))
    document.setTextWidth(width)
    return document


def write_pdf(report: Report, path: Path) -> None:
    """Write the report as a PDF on A4; Unusable when it cannot be written."""
    try:
        # the writer itself reports nothing when it cannot write
        path.open("wb").close()
    except OSError as error:
        raise Unusable(f"{path} cannot be written ({error.strerror})") from error
    writer = QPdfWriter(str(path))
    writer.setTitle(report.title)
    writer.setCreator("Paretoscope")
    writer.setResolution(96)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(14, 14, 14, 16), QPageLayout.Unit.Millimeter)
    page = QRectF(writer.pageLayout().paintRectPixels(writer.resolution()))
    document = document_of(report, page.width())
    document.setPageSize(QSizeF(page.width(), page.height()))
    document.print_(writer)
