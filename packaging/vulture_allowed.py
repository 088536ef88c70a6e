"""Names that vulture reports as unused, each kept for the reason above it.

The check is `python -m vulture` (settings in pyproject.toml): a name that only tests use counts as
unused. A name that vulture no longer reports does not belong here; a test checks this.
"""

# called by Qt and pyqtgraph
_.boundingRect
_.contextMenuEvent
_.dragEnterEvent
_.dropEvent
_.expandingDirections
_.hasHeightForWidth
_.heightForWidth
_.hoverEvent
_.itemAt
_.mouseClickEvent
_.mouseDoubleClickEvent
_.mouseDragEvent
_.mouseMoveEvent
_.mousePressEvent
_.paintEvent
_.tickStrings
_.tickValues

# read by other libraries once they are set: logging, numpy, ONNX, ONNX Runtime
_.data_location
_.data_type
_.handleError
_.inter_op_num_threads
_.intra_op_num_threads
_.log_severity_level
_.writeable

# what http.client and io.BufferedReader call of a socket and a stream of ours
_.makefile
_.readable
_.readinto
_.sock

# found by name: views by their rows, formats by FORMAT in their modules, requests of the
# measuring process by their kind
_._devices
_._measure_interleaved
_._open
_.CompareTray
_.DevicesPanel
_.FORMAT
_.FrontTable
_.MeasurePanel
_.Parallel
_.Reproduce
_.SpacePanel
_.Trust

# written out with all fields of their records
_.bits_per_byte
_.currency

# called by packaging/paretoscope.spec
_.write_licences

# kept for accuracy as an axis: from a loss to an error and to a score
_.fit_error_law
_.fit_sigmoid

# kept for pairs of a target and a draft that are measured
_.goodput_lookahead
_.required_tar
_.tokens_gained
_.tokens_per_s

# shown to scripts in resources/help/python.md
_.read_runs
