"""Which token follows: parameters of a request, and draws that no batch can change.

General layout: ``_params`` is what a request asks for; ``_table`` keeps it on the
device, by slot; ``_noise`` is randomness as a function of (seed, position, token id);
``_filters`` are top-k and top-p; ``_draw`` puts them together. ``_request`` finds what
a model can never run before a request is queued.
"""

from fairq_backends.sampling._draw import NO_TOKEN, check_drawn, draw
from fairq_backends.sampling._filters import kept_tokens
from fairq_backends.sampling._noise import gumbel_noise, hash_bits
from fairq_backends.sampling._params import MOST_STOP_IDS, SamplingParams
from fairq_backends.sampling._request import RequestCheck
from fairq_backends.sampling._table import SamplingTable

__all__ = [
    "MOST_STOP_IDS",
    "NO_TOKEN",
    "RequestCheck",
    "SamplingParams",
    "SamplingTable",
    "check_drawn",
    "draw",
    "gumbel_noise",
    "hash_bits",
    "kept_tokens",
]
