"""Paint the plot at two sizes and in both themes into a folder, to be looked at: no test can.

python tests/benchmarks/look_plot.py FOLDER [POINTS]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parent))
from plot_scene import scene

from gui.plot.pareto_plot import ParetoPlot


def main() -> None:
    """Write the pictures and name them."""
    folder = Path(sys.argv[1])
    points = int(sys.argv[2]) if len(sys.argv) > 2 else 60_000
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication.instance() or QApplication([])
    for dark in (False, True):
        for width, height in ((1280, 800), (1920, 1080)):
            plot = ParetoPlot()
            plot.resize(width, height)
            plot.show()
            plot.refresh(scene(points, dark))
            app.processEvents()
            app.processEvents()
            name = f"plot_{'dark' if dark else 'light'}_{width}"
            plot.grab().save(str(folder / f"{name}.png"))
            if width == 1280:
                plot.export_png(folder / f"{name}_export.png", 2000)
                plot.export_svg(folder / f"{name}.svg")
                picture = QImage(width, height, QImage.Format.Format_RGB32)
                painter = QPainter(picture)
                QSvgRenderer(str(folder / f"{name}.svg")).render(painter)
                painter.end()
                picture.save(str(folder / f"{name}_svg.png"))
            plot.close()
    print(*sorted(str(p) for p in folder.iterdir()), sep="\n")


if __name__ == "__main__":
    main()
