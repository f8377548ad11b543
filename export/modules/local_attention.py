"""NeMo's local attention (``rel_pos_local_attn``), traceable, at a cost linear in the frames.

NeMo makes overlapping chunks by memory strides, which cannot be traced, and places global tokens
beyond an utterance's length too. Here queries are in blocks as long as the window's wider side,
each with the keys of its own block and both neighbours:

queries [N, w] and keys [N, 3w] → scores [N, w, 3w], of which each query may see up to 2w + 1

Shapes: B batch, D channels of the model, H heads of K channels, S frames in N blocks of w, and G
global tokens, which every frame sees, and which see every frame.
"""

from typing import Final

import torch
from nemo.collections.asr.parts.submodules.multi_head_attention import (
    RelPositionMultiHeadAttentionLongformer,
)
from torch import Tensor, nn

from export.modules.masks import valid_frames

MASKED: Final = -10000.0
"""NeMo's score of a masked key; fp16 holds it."""

Heads = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values; each of shape = (B, H, S, K)."""


def local_attention(
    attention: RelPositionMultiHeadAttentionLongformer, encoding: Tensor
) -> "LocalAttention":
    """``attention``, traceable; ``encoding`` of its window's distances, shape = (1, L + R + 1, D).

    L and R are the frames that it sees to the left and to the right.
    """
    kind = GlobalLocalAttention if attention.global_tokens else LocalAttention
    return kind(attention, encoding)


class LocalAttention(nn.Module):
    """The attention of one layer, within a window."""

    def __init__(
        self, attention: RelPositionMultiHeadAttentionLongformer, encoding: Tensor
    ) -> None:
        super().__init__()
        self.heads: int = attention.h
        self.channels: int = attention.d_k
        self.scale: float = 1 / attention.s_d_k
        self.window: int = max(attention.att_context_size)
        self.linear_q, self.linear_k = attention.linear_q, attention.linear_k
        self.linear_v, self.linear_out = attention.linear_v, attention.linear_out
        self.bias_u = nn.Parameter(attention.pos_bias_u.unsqueeze(1))  # [H, 1, K]
        self.bias_v = nn.Parameter(attention.pos_bias_v.unsqueeze(1))
        self.register_buffer("distance_keys", _distance_keys(attention, encoding))
        self.register_buffer("within", _within(*attention.att_context_size))

    def forward(self, query: Tensor, pad_mask: Tensor, **_others: Tensor | None) -> Tensor:
        """Attend to ``query``, (B, S, D); ``pad_mask``, (B, S), is true beyond the length.

        NeMo's other arguments are ``query`` again, the encoding, and a cache for streaming.
        """
        linears = (self.linear_q, self.linear_k, self.linear_v)
        q, k, v = (self._split(linear(query)) for linear in linears)
        attended = self._attended(query, (q, k, v), (~pad_mask).sum(1))  # [B, H, S, K]
        attended = attended.transpose(1, 2).reshape(query.shape[0], -1, self.heads * self.channels)
        output: Tensor = self.linear_out(attended)
        return output

    def _attended(self, query: Tensor, heads: Heads, lengths: Tensor) -> Tensor:
        """What each frame of ``query`` attends to: [B, H, S, K]."""
        v, columns = heads[2], self._columns(query.shape[1])
        weights = self._scores(heads, columns, lengths).softmax(-1)
        return self._unblocked(torch.matmul(weights, _at(v, columns)), query.shape[1])

    def _split(self, x: Tensor) -> Tensor:
        """(B, S, D) to (B, H, S, K)."""
        return x.reshape(x.shape[0], -1, self.heads, self.channels).transpose(1, 2)

    def _columns(self, frames: int) -> Tensor:
        """The frames of each block's keys, [N, 3w]; some are before the first or beyond the last.

        The middle third are those of the block's queries.
        """
        w = self.window
        return torch.arange((frames + w - 1) // w).unsqueeze(1) * w + torch.arange(-w, 2 * w)

    def _blocked(self, q: Tensor, columns: Tensor) -> Tensor:
        """(B, H, S, K) in blocks of queries, (B, H, N, w, K)."""
        return _at(q, columns[:, self.window : 2 * self.window])

    def _unblocked(self, blocks: Tensor, frames: int) -> Tensor:
        """(B, H, N, w, K) to (B, H, S, K)."""
        return blocks.reshape(blocks.shape[0], self.heads, -1, self.channels)[:, :, :frames]

    def _scores(self, heads: Heads, columns: Tensor, lengths: Tensor) -> Tensor:
        """Of each block's queries with its keys: [B, H, N, w, 3w]."""
        w, batch = self.window, lengths.shape[0]
        queries = self._blocked(heads[0], columns)  # [B, H, N, w, K]
        keys = _at(heads[1], columns).transpose(-1, -2)  # [B, H, N, K, 3w]
        scores = torch.matmul((queries + self.bias_u.unsqueeze(1)) * self.scale, keys)
        flat = queries.reshape(batch, self.heads, -1, self.channels)  # [B, H, N * w, K]
        distances = torch.matmul((flat + self.bias_v) * self.scale, self.distance_keys)
        # Read in rows that are one shorter, each query's scores begin a key after the last one's.
        distances = distances.reshape(batch, self.heads, -1, w * (3 * w + 1))[..., : w * 3 * w]
        scores = scores + distances.reshape(batch, self.heads, -1, w, 3 * w)
        inside = (columns >= 0) & (columns < lengths.view(-1, 1, 1))  # [B, N, 3w]
        seen = (inside.unsqueeze(2) & self.within).unsqueeze(1)  # [B, 1, N, w, 3w]
        return torch.where(seen, scores, MASKED)


class GlobalLocalAttention(LocalAttention):
    """The attention of one layer, within a window and to and from global tokens.

    These are the first frames, or one in every ``spacing``. As in NeMo, a token within the window
    counts twice.
    """

    def __init__(
        self, attention: RelPositionMultiHeadAttentionLongformer, encoding: Tensor
    ) -> None:
        super().__init__(attention, encoding)
        self.tokens: int = attention.global_tokens
        self.spacing: int = attention.global_tokens_spacing
        self.separate: bool = attention.global_attn_separate
        if self.separate:
            self.global_q, self.global_k = attention.global_q, attention.global_k
            self.global_v = attention.global_v

    def _attended(self, query: Tensor, heads: Heads, lengths: Tensor) -> Tensor:
        v, columns = heads[2], self._columns(query.shape[1])
        q, k, global_v = self._global_heads(query, heads)
        places = torch.arange(self.tokens) * self.spacing  # [G]
        present = places < lengths.unsqueeze(1)  # [B, G]
        # Each frame sees the tokens and its window.
        tokens = _at(k, places).transpose(-1, -2).unsqueeze(2)  # [B, H, 1, K, G]
        scores = torch.matmul(self._blocked(q, columns), tokens)  # [B, H, N, w, G]
        scores = torch.where(present[:, None, None, None], scores, MASKED)
        local = self._scores(heads, columns, lengths)
        weights = torch.cat((scores, local), -1).softmax(-1)  # [B, H, N, w, G + 3w]
        blocks = torch.matmul(weights[..., : self.tokens], _at(v, places).unsqueeze(2))
        blocks = blocks + torch.matmul(weights[..., self.tokens :], _at(v, columns))
        attended = self._unblocked(blocks, query.shape[1])
        # Each token sees all frames.
        queries = self._token_queries(_at(q, places), present)
        scores = torch.matmul(queries, k.transpose(-1, -2))  # [B, H, G, S]
        inside = valid_frames(query.shape[1], lengths)[:, None, None]  # [B, 1, 1, S]
        weights = torch.where(inside, scores, MASKED).softmax(-1)
        return self._with_tokens(attended, torch.matmul(weights, global_v), query.shape[1])

    def _global_heads(self, query: Tensor, heads: Heads) -> Heads:
        """Queries, scaled, keys and values from and to global tokens."""
        q, k, v = heads
        if self.separate:
            linears = (self.global_q, self.global_k, self.global_v)
            q, k, v = (self._split(linear(query)) for linear in linears)
        return q * self.scale, k, v

    def _token_queries(self, queries: Tensor, present: Tensor) -> Tensor:
        """The tokens' ``queries``, [B, H, G, K], by the heads and tokens that NeMo gives them to.

        NeMo reads an array ordered by token as if it were ordered by head, with as many tokens for
        each as the utterance has. Checkpoints are trained that way; one token is unaffected.
        """
        if self.tokens == 1:
            return queries
        count = present.sum(1).view(-1, 1, 1)
        head = torch.arange(self.heads).unsqueeze(1)
        source = head * count + torch.arange(self.tokens)  # [B, H, G]
        batch, slots = queries.shape[0], self.heads * self.tokens
        by_token = queries.transpose(1, 2).reshape(batch, slots, self.channels)
        index = source.reshape(batch, slots, 1).expand(-1, -1, self.channels)
        dealt = by_token.gather(1, index)
        return dealt.reshape(batch, self.heads, self.tokens, self.channels)

    def _with_tokens(self, attended: Tensor, tokens: Tensor, frames: int) -> Tensor:
        """``attended`` [B, H, S, K] with ``tokens`` [B, H, G, K] in the places of their frames."""
        frame = torch.arange(frames)
        token = frame // self.spacing
        is_token = (token * self.spacing == frame) & (token < self.tokens)
        spread = tokens[:, :, torch.where(is_token, token, 0)]  # [B, H, S, K]
        return torch.where(is_token.unsqueeze(1), spread, attended)


def _at(heads: Tensor, frames: Tensor) -> Tensor:
    """Some ``frames`` of (B, H, S, K); those outside are the first one, to be masked."""
    return heads[:, :, torch.where((frames >= 0) & (frames < heads.shape[2]), frames, 0)]


def _distance_keys(attention: RelPositionMultiHeadAttentionLongformer, encoding: Tensor) -> Tensor:
    """Keys of the distances -w to w in a window, and w without any: [H, K, 3w + 1].

    NeMo adds the scores of left distances at the window's left end and the others at its right
    end. Where the sides are unequal, the narrower one's are so far from their frames.
    """
    left, right = attention.att_context_size
    w = max(left, right)
    with torch.no_grad():
        keys = attention.linear_pos(encoding[0]).reshape(-1, attention.h, attention.d_k)
    placed = keys.new_zeros(3 * w + 1, *keys.shape[1:])
    placed[:left] = keys[:left]
    placed[2 * w - right : 2 * w + 1] = keys[left:]
    return placed.permute(1, 2, 0).contiguous()


def _within(left: int, right: int) -> Tensor:
    """Which keys of three blocks each query of the middle one may see: bool [w, 3w]."""
    w = max(left, right)
    distance = torch.arange(-w, 2 * w) - torch.arange(w).unsqueeze(1)
    return (distance >= -left) & (distance <= right)
