"""What vulture takes for unused, each kept for the reason that stands above it.

The check is `python -m vulture` (settings in pyproject.toml): a name that only tests use is not in use,
and shows up. A name that vulture no longer takes for unused does not belong here.
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

# not yet decided: a door of its own, or out
_.FORMATS
_._built_for
_.acceptance_prior
_.baseline_params
_.baseline_tokens
_.best_format
_.best_training_bits
_.cautions
_.CHANNEL_LOG2_BLOCK
_.CHINCHILLA
_.choose_next
_.critical_tokens
_.currency
_.DEEP_DRAFT
_.dominates
_.draft_share
_.draft_size_prior
_.e2e_s
_.end_preview
_.fit_error_law
_.fit_over_training
_.fit_range
_.fit_sigmoid
_.FLOAT_TRAINING
_.from_code
_.front_band
_.front_chance
_.goodput_lookahead
_.hypervolume
_.improves
_.LADDER_TASKS
_.loss_meanings
_.open_written
_.operations_factor
_.OVER_TRAINING
_.PARSCALE
_.PRECISION
_.PROVENANCE
_.quantisation_loss
_.RANDOM_ERROR
_.required_tar
_.resolution_s
_.saved
_.serving_optimum_like
_.SMARTSPEC_BONUS
_.solve_iteration
_.STATES
_.streams_for
_.tokens_gained
_.updated_acceptance
_.VERDICTS
_.WIDE_DRAFT
_.wide_draft
_.window_font
_.without_bias
_.write_report
