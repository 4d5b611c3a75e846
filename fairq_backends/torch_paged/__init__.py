"""The native executor: a Llama with a paged KV cache, driven by delta plans.

General layout, from the outside in: ``_backend`` is the protocol, with ``_options``,
``_capacity`` and ``_check``; ``_batch`` is the standing batch on the host, with
``_sequence``, and ``_standing`` the same on the device; ``_layout`` is one step as
rows, ``_forward`` the model over them. ``_ops`` is the seam to a device: plain Torch is
``_torch_ops`` with ``_rows``, ``_linear``, and for attention ``_exact`` over
``_canonical``, or ``_sdpa``; Triton's kernels are ``_triton_ops``, with ``_graphs``. KV
lives in ``_pool``.
"""

from fairq_backends.torch_paged._backend import TorchPagedBackend

__all__ = ["TorchPagedBackend"]
