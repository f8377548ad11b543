"""NeMo's CTC head: encoder output → log-probabilities, and their arg max as tokens."""

import copy

import torch
from nemo.collections.asr.modules import ConvASRDecoder
from torch import Tensor, nn


class Decoder(nn.Module):
    """Log-probabilities and best token of each frame; ``blank`` is the last index."""

    def __init__(self, decoder: ConvASRDecoder) -> None:
        super().__init__()
        convolution = decoder.decoder_layers[0]  # of width 1: a product for each frame
        self.weight = nn.Parameter(convolution.weight[:, :, 0].T.contiguous())  # [D, V]
        self.bias = convolution.bias
        self.adapters = copy.deepcopy(decoder) if decoder.get_enabled_adapters() else None
        self.temperature: float = decoder.temperature
        self.blank: int = decoder.num_classes_with_blank - 1

    def forward(self, encoded: Tensor, encoded_length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score every frame.

        Args:
            encoded: float32, shape = (B, D, S).
            encoded_length: int64, shape = (B, 1).

        Returns:
            ``tokens`` int32, shape = (B, S), blank beyond the length; ``log_probs`` float32,
            shape = (B, S, V); ``log_probs_length`` int64, shape = (B, 1).
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
        return tokens, log_probs, encoded_length.clone()
