"""Audio to mel features, as NeMo's ``AudioToMelSpectrogramPreprocessor`` does in eval mode.

NeMo does not export its preprocessor. This one takes a ragged batch, flat int16 samples and
the utterances' lengths, and gives the features that NeMo computes for each utterance alone:

int16 [ΣN] → padded [B, N] → pre-emphasis → power spectrum (a convolution with the windowed
DFT basis) → mel bands → log → normalisation over the valid frames → [B, F, T]
"""

import math
from collections.abc import Iterator

import torch
from nemo.collections.asr.parts.preprocessing.features import FilterbankFeatures
from torch import Tensor, nn

INT16_SCALE = 1 / 32768  # int16 to [-1, 1), as soundfile does
STD_FLOOR = 1e-5  # NeMo's CONSTANT, added to each standard deviation
NORMALIZED = ("per_feature", "all_features")  # NeMo takes any other word as no normalisation
GUARD_WORDS = ("tiny", "eps")  # of fp32
LEAST_UNIT = 1e-24  # mel energies reach 1e8 at most, and fp32 ends at 3e38
SUPPORTED = {"frame_splicing": 1, "exact_pad": False}
"""NeMo's settings and their value that is exported."""


class Preprocessor(nn.Module):
    """NeMo's mel features for a ragged batch.

    ``objections`` names the settings that it would not reproduce.
    """

    def __init__(self, featurizer: FilterbankFeatures) -> None:
        super().__init__()
        self.hop_length: int = featurizer.hop_length
        self.preemphasis: float | None = featurizer.preemph
        self.power: float = featurizer.mag_power
        self.normalize: str | None = featurizer.normalize
        self.log: bool = featurizer.log
        self.guard_type: str = featurizer.log_zero_guard_type
        guard: float = featurizer.log_zero_guard_value_fn(torch.zeros(1))
        self.pad_value: float = featurizer.pad_value
        self.window_length: int = featurizer.win_length
        self.padding: tuple[int, int] = _padding(featurizer)
        self.register_buffer("dft", _windowed_dft(featurizer))  # [2 * bins, 1, window]
        unit = max(guard, LEAST_UNIT) if self.log and self.normalize in NORMALIZED else 1.0
        self.guard = guard / unit
        self.register_buffer("mel", (featurizer.fb[0].double() / unit).float())  # [F, bins]

    def forward(self, audio_signal: Tensor, audio_signal_length: Tensor) -> tuple[Tensor, Tensor]:
        """Features of each utterance; zero (``pad_value``) beyond its length.

        Args:
            audio_signal: int16, shape = (ΣN,), the utterances one after another.
            audio_signal_length: int32, shape = (B, 1), their lengths N in samples.

        Returns:
            ``features`` float32, shape = (B, F, T), and ``features_length`` int64, shape = (B, 1).
        """
        features, frames = self.log_mel(audio_signal, audio_signal_length)
        valid = torch.arange(features.shape[2]) < frames  # [B, T]
        features = self._normalized(features, frames, valid.unsqueeze(1))
        return torch.where(valid.unsqueeze(1), features, self.pad_value), frames

    def log_mel(self, audio_signal: Tensor, audio_signal_length: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel features before normalisation; shapes as in ``forward``.

        Before normalisation, energies are in units of the zero guard. Normalisation removes that
        constant, and the features of faint audio, near 0 instead of -16.6, keep 16 times the
        precision.
        """
        lengths = audio_signal_length.to(torch.int64)
        audio = self._preemphasized(*_padded(audio_signal, lengths))  # [B, N]
        spectrum = self._power_spectrum(audio)  # [B, bins, T]
        features = torch.matmul(self.mel, spectrum)  # [B, F, T]
        frames = torch.div(
            lengths + (sum(self.padding) - self.window_length),
            self.hop_length,
            rounding_mode="floor",
        )
        return (self._log(features) if self.log else features), frames

    def _preemphasized(self, audio: Tensor, valid: Tensor) -> Tensor:
        if self.preemphasis is not None:
            later = audio[:, 1:] - self.preemphasis * audio[:, :-1]
            audio = torch.cat((audio[:, :1], later), dim=1)
        return torch.where(valid, audio, 0.0)

    def _power_spectrum(self, audio: Tensor) -> Tensor:
        audio = nn.functional.pad(audio.unsqueeze(1), self.padding)
        # torch.stft gives one frame more than NeMo counts; cutting the last hop drops it.
        audio = audio[:, :, : -self.hop_length]
        real, imaginary = nn.functional.conv1d(audio, self.dft, stride=self.hop_length).chunk(2, 1)
        power = real.square() + imaginary.square()
        return power if self.power == 2.0 else power.sqrt().pow(self.power)

    def _log(self, features: Tensor) -> Tensor:
        if self.guard_type == "clamp":
            return torch.log(features.clamp(min=self.guard))
        guarded = features + self.guard
        # The sum keeps few digits of a faint sound: add back what it rounded away.
        rounding = (guarded - self.guard) - features
        return torch.log(guarded) - rounding / guarded

    def _normalized(self, features: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        if self.normalize not in NORMALIZED:
            return features
        bands = 1 if self.normalize == "per_feature" else features.shape[1]
        count = (frames * bands).unsqueeze(2).to(features.dtype)  # [B, 1, 1]

        def mean(values: Tensor) -> Tensor:
            return self._sum(values, valid) / count

        def less(values: Tensor, mean: Tensor) -> Tensor:
            return torch.where(valid, values - mean, 0.0)

        # Silence is thousands of equal values, and each addition to their sum rounds the same way.
        # A second pass over the deviations from the first mean corrects that.
        deviation = less(features, mean(features))
        deviation = less(deviation, mean(deviation))
        square = deviation.square()
        first = mean(square)
        variance = (first + mean(less(square, first))) * (count / (count - 1.0))
        return deviation / (variance.sqrt() + STD_FLOOR)

    def _sum(self, features: Tensor, valid: Tensor) -> Tensor:
        """Sum [B, F, T] over the valid frames to [B, F, 1], or over bands too to [B, 1, 1].

        A matrix product adds frames in their order, so padding, which adds zeros at the end,
        leaves the sum the same to the last bit. A reduction's order depends on the length.
        """
        total = torch.matmul(features, valid.transpose(1, 2).to(features.dtype))
        return total if self.normalize == "per_feature" else total.sum(1, keepdim=True)


def _padded(audio_signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Flat int16 [ΣN] to float [B, max N], and the mask of valid samples, same shape."""
    position = torch.arange(lengths.max())  # [max N]
    valid = position < lengths  # [B, max N]
    start = torch.cumsum(lengths, dim=0) - lengths  # [B, 1]
    index = torch.where(valid, start + position, 0)
    return audio_signal[index].to(torch.float32) * INT16_SCALE, valid


def _padding(featurizer: FilterbankFeatures) -> tuple[int, int]:
    """Zeros before and after the audio such that frame ``t`` starts at ``t * hop_length``.

    torch.stft centres the window in the FFT frame. Taps outside the window are zero, so the
    kernel leaves them out and the padding shrinks by as much.
    """
    edge = featurizer.n_fft // 2
    before = (featurizer.n_fft - featurizer.win_length) // 2
    after = featurizer.n_fft - featurizer.win_length - before
    return edge - before, edge - after


def _windowed_dft(featurizer: FilterbankFeatures) -> Tensor:
    """Cosine and sine rows of the DFT times the window; shape = (2 * bins, 1, window).

    Computed in float64: the phase 2πkn/N of the highest bins loses digits in float32.
    """
    before = (featurizer.n_fft - featurizer.win_length) // 2
    sample = torch.arange(before, before + featurizer.win_length, dtype=torch.float64)
    frequency = torch.arange(featurizer.n_fft // 2 + 1, dtype=torch.float64)
    phase = 2 * math.pi / featurizer.n_fft * torch.outer(frequency, sample)
    basis = torch.cat((phase.cos(), -phase.sin())) * featurizer.window.to(torch.float64)
    return basis.unsqueeze(1).float()


def objections(featurizer: FilterbankFeatures) -> Iterator[str]:
    """The settings of ``featurizer`` that are not exported."""
    fix = "train or fine-tune the model with that, because the features differ"
    if featurizer.window is None:
        yield (
            "the preprocessor has no window, with which NeMo itself fails (exported: hann,"
            " hamming, blackman, bartlett)"
        )
    # A string that names no normalisation, such as "None" or "NA", is NeMo's way to have none.
    if featurizer.normalize and not isinstance(featurizer.normalize, str):
        yield (
            "the preprocessor normalises with a fixed_mean and fixed_std (exported: per_feature,"
            f" all_features, none): {fix}"
        )
    if featurizer.log and not _is_guard(featurizer.log_zero_guard_value):
        yield (
            f"the preprocessor has log_zero_guard_value = {featurizer.log_zero_guard_value!r}, with"
            " which NeMo itself has no finite features of digital silence (exported: a number above"
            " 0 in fp32, 'tiny', 'eps'): set it to 'tiny', which leaves audible sound as it is"
        )
    for setting, supported in SUPPORTED.items():
        value = getattr(featurizer, setting)
        if value != supported:
            yield f"the preprocessor has {setting} = {value!r} (exported: {supported!r}): {fix}"


def _is_guard(value: object) -> bool:
    """Whether NeMo's logarithm of silence is finite in fp32 with this ``log_zero_guard_value``."""
    if isinstance(value, int | float):
        return 0 < float(torch.tensor(value, dtype=torch.float32)) < math.inf
    return value in GUARD_WORDS
