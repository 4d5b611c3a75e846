"""A Llama as it stands in the books: no pages, no cache, no batch. The oracle of tests.

General layout: ``_forward`` is the model, ``_rounded`` its weights, ``_sequence`` one
text, ``_check`` refuses plans that make no sense; ``_backend`` puts them together.
"""

from fairq_backends.reference._backend import ReferenceBackend
from fairq_backends.reference._forward import forward

__all__ = ["ReferenceBackend", "forward"]
