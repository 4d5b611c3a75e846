"""The arithmetic of attention, in one place, so that every schedule agrees bitwise.

A *state* is (m, s, acc) of a block of rows: the largest score in base 2, the sum of
``2 ** (score - m)``, and the same sum weighted with the values. The neutral state
is (-inf, 0, 0); merging it changes nothing, exactly. (Milakov and Gimelshein, *Online
normalizer calculation for softmax*, 2018; Dao, *FlashAttention-2*, 2023.)
"""

from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl

__all__ = ["add_tile", "finish", "merge", "neutral"]


@jit
def neutral(rows: constexpr, dim_block: constexpr) -> Scalar:
    m = tl.full((rows,), float("-inf"), tl.float32)
    s = tl.zeros((rows,), tl.float32)
    acc = tl.zeros((rows, dim_block), tl.float32)
    return m, s, acc


@jit
def merge(
    m: Scalar,
    s: Scalar,
    acc: Scalar,
    next_m: Scalar,
    next_s: Scalar,
    next_acc: Scalar,
) -> Scalar:
    """Fold the state of the following keys into that of all keys before them."""
    top = tl.maximum(m, next_m)
    base = tl.where(top == float("-inf"), 0.0, top)  # no key yet: not inf - inf
    left = tl.exp2(m - base)
    right = tl.exp2(next_m - base)
    total = s * left + next_s * right
    return top, total, acc * left[:, None] + next_acc * right[:, None]


@jit
def finish(s: Scalar, acc: Scalar) -> Scalar:
    """The attention of rows; zeros for rows without a key."""
    return acc / tl.where(s == 0.0, 1.0, s)[:, None]


@jit
def _sum_in_order(p: Scalar, rows: constexpr, tile: constexpr) -> Scalar:
    """Sum each row of a tile, neighbours first, then neighbouring pairs, and so on.

    ``tl.sum`` adds in an order that depends on how threads share the tile, hence on
    the number of rows and warps. A sum over an axis of length two has one order only.
    """
    width: constexpr = tile // 2
    pairs = tl.sum(tl.reshape(p, (rows, width, 2)), 2)
    if width == 1:
        return tl.reshape(pairs, (rows,))
    else:  # noqa: RET505  # Triton decides this while compiling, both arms as one
        return _sum_in_order(pairs, rows, width)


@jit
def add_tile(  # noqa: PLR0913, PLR0917  # a state, a query, and where its keys are
    m: Scalar,
    s: Scalar,
    acc: Scalar,
    query: Scalar,
    position: Scalar,
    scale: Scalar,
    keys: Pointer,
    values: Pointer,
    table: Pointer,
    kv_head: Scalar,
    first: Scalar,
    limit: Scalar,
    kv_heads: constexpr,
    page: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    rows: constexpr,
    tile: constexpr,
) -> Scalar:
    """Add the keys at positions first .. first + tile - 1 to a state.

    Keys from ``limit`` on are not read: stale blocks may hold NaN, and 0 * NaN is NaN.
    A row sees the keys up to its own position.
    """
    n = first + tl.arange(0, tile)
    d = tl.arange(0, dim_block)
    there = n < limit
    block = tl.load(table + n // page, mask=there, other=0).to(tl.int64)
    at = ((block * kv_heads + kv_head) * page + n % page) * dim
    key_mask = (d < dim)[:, None] & there[None, :]
    key = tl.load(keys + at[None, :] + d[:, None], mask=key_mask, other=0.0)
    value_mask = there[:, None] & (d < dim)[None, :]
    value = tl.load(values + at[:, None] + d[None, :], mask=value_mask, other=0.0)
    scores = tl.dot(query, key, input_precision="ieee") * scale
    scores = tl.where(n[None, :] <= position[:, None], scores, float("-inf"))
    top = tl.maximum(m, tl.max(scores, 1))
    base = tl.where(top == float("-inf"), 0.0, top)
    shrink = tl.exp2(m - base)
    p = tl.exp2(scores - base[:, None])
    total = s * shrink + _sum_in_order(p, rows, tile)
    acc = acc * shrink[:, None]
    acc = tl.dot(p.to(value.dtype), value, acc, input_precision="ieee")
    return top, total, acc
