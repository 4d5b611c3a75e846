"""A backend without a GPU: real protocol, modelled time, reproducible tokens.

General layout: ``_model`` and ``_presets`` say how long a step takes, ``_tokens`` what
it produces, ``_weather`` what goes wrong; ``_sequence``, ``_calendar`` and ``_batch``
are the standing batch; ``_check`` refuses plans that break the protocol; ``_backend``
puts them together.
"""

from fairq_backends.simulated._backend import SimulatedBackend
from fairq_backends.simulated._errors import ProtocolViolation, SimulatedFault
from fairq_backends.simulated._model import StepLoad, StepTimeModel
from fairq_backends.simulated._presets import Preset, load_presets
from fairq_backends.simulated._tokens import VOCABULARY, token_at, token_key

__all__ = [
    "VOCABULARY",
    "Preset",
    "ProtocolViolation",
    "SimulatedBackend",
    "SimulatedFault",
    "StepLoad",
    "StepTimeModel",
    "load_presets",
    "token_at",
    "token_key",
]
