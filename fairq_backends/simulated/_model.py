"""How long one step takes on a GPU, as a function of the work in it."""

import attrs


@attrs.frozen(kw_only=True)
class StepLoad:
    """The work in one step."""

    tokens: int
    """Positions computed: prompt tokens and one for each decode. N in the formula."""

    sampled: int
    """Sequences that produce a token: decodes and sampling chunks. S."""

    decode_context: int
    """Sum over decodes of the positions that have KV before the step."""

    prefill_pairs: float
    """Sum over chunks of length * (start + length / 2): attention of prompt work."""

    prefills: bool
    """Whether the step has a chunk."""


@attrs.frozen(kw_only=True)
class StepTimeModel:
    """T = max(a, b*N + f) + c*context + d*pairs + e*S + overhead, in ms.

    A fit to measurements: at small batches the weights must be read (a), at large ones
    arithmetic dominates (b, f); attention is paid by the context (c, d).
    """

    a_ms: float
    """Least time of the dense layers, in ms."""

    b_ms_per_token: float
    """Dense layers per position, in ms, once they are limited by arithmetic."""

    f_ms: float
    """Intercept of that line, in ms; it may be negative."""

    c_ms_per_ctx_token: float
    """Attention of decodes, in ms per position of their context."""

    c_mixed_ms_per_ctx_token: float
    """The same in a step that also has prompt work, in ms."""

    d_ms_per_token_pair: float
    """Attention of prompt work, in ms per pair of positions."""

    e_ms_per_seq: float
    """Sampling, in ms per sequence that produces a token."""

    overhead_ms: float
    """What a step costs outside the GPU, in ms."""

    def milliseconds(self, load: StepLoad) -> float:
        """How long a step takes, in ms; only the overhead when it computes nothing."""
        if not load.tokens:
            return self.overhead_ms
        dense = max(self.a_ms, self.b_ms_per_token * load.tokens + self.f_ms)
        mixed = self.c_mixed_ms_per_ctx_token
        decode = mixed if load.prefills else self.c_ms_per_ctx_token
        return (
            dense
            + decode * load.decode_context
            + self.d_ms_per_token_pair * load.prefill_pairs
            + self.e_ms_per_seq * load.sampled
            + self.overhead_ms
        )
