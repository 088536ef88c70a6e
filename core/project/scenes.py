"""Scenes of a presentation: the parts of the choices that make a picture, kept as text under a title."""

from __future__ import annotations

import json

from core.errors import Unusable
from core.guarded import json_value
from core.project.choices import Choices, choices_from_dict, choices_to_dict
from core.records.metrics import METRICS

# parts of the choices that make a scene; the rest (pins, laws, device) stays as it is
SCENE_PARTS = (
    "x",
    "y",
    "x_log",
    "y_log",
    "limits",
    "selected",
    "baseline",
    "feasible_shown",
    "front_shown",
    "dominated_shown",
)


def scene_title(choices: Choices) -> str:
    """E.g. 'Loss against time per output token; peak memory ≤ 24.0 GB'."""
    labels = [label[:1].lower() + label[1:] for label in (limit.label for limit in choices.limits)]
    several = f"; {len(labels)} limits" if len(labels) > 1 else ""
    limits = several or "".join(f"; {label}" for label in labels)
    return f"{METRICS[choices.y].label} against {METRICS[choices.x].label.lower()}{limits}"


def scene_text(choices: Choices) -> str:
    """The parts of the choices that make a scene, as JSON."""
    every = choices_to_dict(choices)
    return json.dumps({name: every[name] for name in SCENE_PARTS})


def scene_parts(text: str) -> dict[str, object]:
    """The parts that a scene's text holds, ready for `Choices.changed`; Unusable for a damaged one."""
    try:
        data = json_value(text)
        stored = choices_from_dict(data)
        return {name: getattr(stored, name) for name in SCENE_PARTS if name in data}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Unusable(f"a saved scene is damaged ({error})") from error
