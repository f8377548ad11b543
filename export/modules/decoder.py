"""NeMo's CTC head: encoder output → log-probabilities, their arg max, each frame's best."""

import copy

import torch
from nemo.collections.asr.modules import ConvASRDecoder
from torch import Tensor, nn


class Decoder(nn.Module):
    """Log-probabilities of each frame and its best token, with ``top_k`` its best K as well.

    ``blank`` is the last index.
    """

    def __init__(self, decoder: ConvASRDecoder, top_k: int | None = None) -> None:
        super().__init__()
        convolution = decoder.decoder_layers[0]  # of width 1: a product for each frame
        self.weight = nn.Parameter(convolution.weight[:, :, 0].T.contiguous())  # [D, V]
        self.bias = convolution.bias
        self.adapters = copy.deepcopy(decoder) if decoder.get_enabled_adapters() else None
        self.temperature: float = decoder.temperature
        self.blank: int = decoder.num_classes_with_blank - 1
        self.top_k = top_k

    def forward(self, encoded: Tensor, encoded_length: Tensor) -> tuple[Tensor, ...]:
        """Score every frame.

        Args:
            encoded: float32, shape = (B, D, S).
            encoded_length: int64, shape = (B, 1).

        Returns:
            ``tokens`` int32, shape = (B, S), blank beyond the length; ``log_probs`` float32,
            shape = (B, S, V); with ``top_k`` ``top_tokens`` int32 and ``top_log_probs`` float32,
            shape = (B, S, K); ``log_probs_length`` int64, shape = (B, 1).
        """
        # With frames as rows, ONNX Runtime's rounding does not depend on their number.
        frames = encoded.transpose(1, 2)  # [B, S, D]
        if self.adapters is not None:
            frames = self.adapters.forward_enabled_adapters(frames)
        logits = torch.matmul(frames, self.weight) + self.bias  # [B, S, V]
        if self.temperature != 1.0:
            logits = logits / self.temperature
        log_probs = torch.log_softmax(logits, dim=-1)
        valid = torch.arange(log_probs.shape[1]) < encoded_length  # [B, S]
        tokens = torch.where(valid, log_probs.argmax(dim=-1), self.blank).to(torch.int32)
        top = () if self.top_k is None else self._top(log_probs, self.top_k)
        return tokens, log_probs, *top, encoded_length.clone()

    def _top(self, log_probs: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
        """The best ``top_k`` of each frame, best first; the blank is last if not among them."""
        values, indices = log_probs.topk(top_k, dim=-1)  # [B, S, K]
        lacks_blank = indices.amax(dim=-1, keepdim=True) < self.blank  # [B, S, 1]: none is larger
        is_last = torch.arange(top_k) == top_k - 1  # [K]
        replaced = lacks_blank & is_last  # [B, S, K]
        values = torch.where(replaced, log_probs[..., self.blank :], values)
        return torch.where(replaced, self.blank, indices).to(torch.int32), values
