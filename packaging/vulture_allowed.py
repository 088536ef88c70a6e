"""What vulture takes for unused, each kept for the reason that stands above it.

The check is `python -m vulture` (settings in pyproject.toml): a name that only tests use is not in use,
and shows up. A name that vulture no longer takes for unused does not belong here.
"""

# called by Qt and pyqtgraph
_.tickValues
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

# set for other libraries: logging, numpy, ONNX, ONNX Runtime
_.data_location
_.data_type
_.handleError
_.inter_op_num_threads
_.intra_op_num_threads
_.log_severity_level
_.writeable

# found by name: views by their rows, requests of the measuring process by what they ask
_.FORMAT
_._measure_interleaved
_._devices
_._open
_.CompareTray
_.DevicesPanel
_.FrontTable
_.MeasurePanel
_.Parallel
_.Reproduce
_.SpacePanel
_.Trust

# called by packaging/paretoscope.spec
_.write_licences

# an error law and a sigmoid for accuracy as an axis (issue 14)
_.fit_error_law
_.fit_sigmoid

# what quantising costs, as a published illustration (issue 12)
_.PRECISION
_.fit_range
_.quantisation_loss

# pairs of a target and a draft (issue 16)
_.goodput_lookahead
_.required_tar
_.tokens_gained
_.tokens_per_s

# not yet decided: a door of its own, or out
_.bits_per_byte
_.cautions
_.choose_next
_.currency
_.dominates
_.e2e_s
_.end_preview
_.front_band
_.front_chance
_.open_written
_.resolution_s
_.STATES
_.VERDICTS
_.window_font
_.write_report
