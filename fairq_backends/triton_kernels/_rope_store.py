"""Rotate Q and K, and put K and V where the block tables say: one pass over qkv.

Half-split rotation (element i pairs with i + D/2) by tables in float32. (Su et al.,
*RoFormer*, 2021.)
"""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import (
    FLOATS,
    INTEGERS,
    check,
    check_device,
    check_pools,
    next_power,
)
from fairq_backends.triton_kernels._errors import KernelUsageError
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl

__all__ = ["reference", "rope_store", "rope_store_kernel"]

HEAD_BLOCK: Final = 16
"""Heads of a program."""


def reference(  # noqa: PLR0913, PLR0917  # the kernel's arguments
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor,
    slots: Tensor,
    q_out: Tensor,
    keys: Tensor,
    values: Tensor,
) -> None:
    """What ``rope_store`` computes, with plain Torch."""
    tokens, heads, dim = q_out.shape
    kv_heads, page = keys.shape[1:3]
    x = qkv.view(tokens, heads + 2 * kv_heads, dim).float()
    left, right = x[..., : dim // 2], x[..., dim // 2 :]
    c, s = cos[positions.long()][:, None], sin[positions.long()][:, None]
    turned = torch.cat([left * c - right * s, right * c + left * s], dim=2)
    q_out.copy_(turned[:, :heads])
    there = slots >= 0
    block, offset = slots[there] // page, slots[there] % page
    keys[block, :, offset] = turned[there, heads : heads + kv_heads].to(keys.dtype)
    values[block, :, offset] = x[there, heads + kv_heads :].to(values.dtype)


def rope_store(  # noqa: PLR0913, PLR0917  # input, tables, where, outputs
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    positions: Tensor,
    slots: Tensor,
    q_out: Tensor,
    keys: Tensor,
    values: Tensor,
) -> None:
    """Write rotated queries to ``q_out``, rotated keys and values to the pools.

    Args:
        qkv: (T, (Hq + 2 Hkv) * D): the heads of q, then k, then v.
        cos: (positions, D/2) float32.
        sin: The same shape.
        positions: (T,) int32 or int64: rows of cos and sin; not checked.
        slots: (T,) int64: block id * P + offset; -1 where a row is padding: its key
            and value are not stored. Not checked.
        q_out: (T, Hq, D), of the type of qkv.
        keys: (num_blocks, Hkv, P, D), of the type of qkv.
        values: The same shape.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    check("q_out", q_out, (None, None, None), FLOATS)
    check_device("q_out", q_out)
    tokens, heads, dim = q_out.shape
    check_pools(keys, values, q_out.dtype)
    _, kv_heads, page, key_dim = keys.shape
    if dim % 2 or key_dim != dim:
        msg = f"keys: expected the even head_dim {dim} of q_out, got {key_dim}"
        raise KernelUsageError(msg)
    every = heads + 2 * kv_heads
    check("qkv", qkv, (tokens, every * dim), (q_out.dtype,))
    check("cos", cos, (None, dim // 2), (torch.float32,))
    check("sin", sin, tuple(cos.shape), (torch.float32,))
    check("positions", positions, (tokens,), INTEGERS)
    check("slots", slots, (tokens,), (torch.int64,))
    if not tokens:
        return
    rope_store_kernel[(tokens, -(-every // HEAD_BLOCK))](
        qkv,
        cos,
        sin,
        positions,
        slots,
        q_out,
        keys,
        values,
        heads=heads,
        kv_heads=kv_heads,
        page=page,
        half=dim // 2,
        half_block=next_power(dim // 2),
        head_block=HEAD_BLOCK,
        enable_fp_fusion=False,
    )


@jit
def rope_store_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    qkv: Pointer,
    cos: Pointer,
    sin: Pointer,
    positions: Pointer,
    slots: Pointer,
    q_out: Pointer,
    keys: Pointer,
    values: Pointer,
    heads: constexpr,
    kv_heads: constexpr,
    page: constexpr,
    half: constexpr,
    half_block: constexpr,
    head_block: constexpr,
) -> None:
    every: constexpr = heads + 2 * kv_heads
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * head_block + tl.arange(0, head_block)
    i = tl.arange(0, half_block)
    mask = (head < every)[:, None] & (i < half)[None, :]
    at = (token * every + head)[:, None] * (2 * half) + i[None, :]
    left = tl.load(qkv + at, mask=mask, other=0.0).to(tl.float32)
    right = tl.load(qkv + at + half, mask=mask, other=0.0).to(tl.float32)
    turn = tl.load(positions + token).to(tl.int64) * half + i
    c = tl.load(cos + turn, mask=i < half, other=0.0)[None, :]
    s = tl.load(sin + turn, mask=i < half, other=0.0)[None, :]
    is_value = (head >= heads + kv_heads)[:, None]
    first = tl.where(is_value, left, left * c - right * s).to(qkv.dtype.element_ty)
    second = tl.where(is_value, right, right * c + left * s).to(qkv.dtype.element_ty)
    q_mask = mask & (head < heads)[:, None]
    q_at = (token * heads + head)[:, None] * (2 * half) + i[None, :]
    tl.store(q_out + q_at, first, mask=q_mask)
    tl.store(q_out + q_at + half, second, mask=q_mask)
    slot = tl.load(slots + token)
    _store(keys, first, second, slot, head - heads, i, mask, kv_heads, page, half)
    value_head = head - heads - kv_heads
    _store(values, first, second, slot, value_head, i, mask, kv_heads, page, half)


@jit
def _store(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    pool: Pointer,
    first: Scalar,
    second: Scalar,
    slot: Scalar,
    head: Scalar,
    i: Scalar,
    mask: Scalar,
    kv_heads: constexpr,
    page: constexpr,
    half: constexpr,
) -> None:
    """Those of the heads that are this pool's, unless the row is padding."""
    wanted = tl.where(slot < 0, 0, kv_heads)
    mine = (head >= 0) & (head < wanted)
    place = tl.maximum(slot, 0)
    block = place // page
    at = ((block * kv_heads + head) * page + place % page)[:, None] * (2 * half)
    tl.store(pool + at + i[None, :], first, mask=mask & mine[:, None])
    tl.store(pool + at + i[None, :] + half, second, mask=mask & mine[:, None])
