"""What is loaded when the window is first painted, and when it is idle: sets of modules, no timings."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# slow or large, and of no use to an empty window
LATE = ("pyqtgraph", "scipy", "psutil", "sqlite_utils", "PIL", "matplotlib", "onnxruntime")
# never in the window's process: the measuring process has them
NEVER = ("torch", "transformers", "tokenizers", "accelerate")
# parts of ours that are not needed yet
OURS = (
    "gui.shell.help",
    "gui.shell.tour",
    "gui.shell.presenter",
    "gui.shell.walk",
    "gui.panels.export",
    "core.report.html",
)
CODE = """
import json, sys
from PySide6.QtCore import QEvent, QObject, QTimer
import gui.__main__ as program
app, window = program.build(program._parser().parse_args(["--new-window", *sys.argv[1:]]))
seen = {}
class Painted(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and "painted" not in seen:
            seen["painted"] = sorted(sys.modules)
            seen["filled at paint"] = hasattr(window, "plot_view")
        return False
filter = Painted()
window.installEventFilter(filter)
def look():
    state = window.store.state
    if state.frame is not None and window.store.settled:
        seen["idle"] = sorted(sys.modules)
        seen["filled"] = hasattr(window, "plot_view")
        watch.stop()
        window.close()
        app.quit()
watch = QTimer()
watch.timeout.connect(look)
watch.start(50)
window.show()
app.exec()
print(json.dumps(seen))
"""


def test_nothing_heavy_is_loaded_before_the_paint_nor_torch_after(project_path, tmp_path):
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(project_path)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env=os.environ | {"PARETOSCOPE_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert not seen["filled at paint"]
    assert seen["filled"]
    assert among(seen["painted"], (*LATE, *NEVER, "PySide6.QtNetwork", *OURS)) == set()
    assert among(seen["idle"], (*NEVER, "scipy.stats", *OURS)) == set()
    # the look itself works: these are there
    assert among(seen["painted"], ("gui.shell.window", "numpy")) == {"gui.shell.window", "numpy"}
    assert among(seen["idle"], ("pyqtgraph",)) == {"pyqtgraph"}
    log = (home / "logs" / "paretoscope.log").read_text()
    assert "painted after" in log


def among(modules, names):
    """Which of these are loaded, themselves or one of their parts."""
    return {n for n in names if any(m == n or m.startswith(n + ".") for m in modules)}
