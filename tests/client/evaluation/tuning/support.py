"""Speech made of log_probs: what was heard is certain, or one letter of it in doubt."""

import wave
from concurrent.futures import Future

import numpy as np

from client.evaluation.acoustic_cache import AcousticOutput
from client.evaluation.tuning.parts import Example
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of


def log_probs_of(text, other="", belief=0.6):
    """``text`` for sure; where ``other`` differs, a letter is ``text``'s with ``belief`` only."""
    log_probs = peaky(tokens_of(text), CONTRACT.blank + 1)
    for frame, (one, two) in enumerate(zip(tokens_of(text), tokens_of(other), strict=False)):
        if one != two:
            log_probs[frame, [one, two]] = np.log([belief, 1 - belief])
    return log_probs


def write_examples(folder, spoken):
    """Examples of (reference, heard, in doubt), with their log_probs in ``folder``."""
    examples = []
    for number, (reference, *heard) in enumerate(spoken):
        path = folder / f"{number}.npy"
        np.save(path, log_probs_of(*heard))
        examples.append(Example(reference, AcousticOutput(path, 1.0)))
    return examples


def write_arpa(folder):
    path = folder / "lm.arpa"
    path.write_text(ARPA)
    return path


def write_wav(path, n_samples=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CONTRACT.sample_rate_hz)
        file.writeframes(np.zeros(n_samples, np.int16).tobytes())


class Server:
    """A transport whose server answers at once, and counts what it is asked."""

    def __init__(self, answer=lambda _: log_probs_of("cat"), contract=CONTRACT):
        self.contract = contract
        self.asked = []
        self._answer = answer

    def submit(self, samples, output):
        """A future that is done."""
        self.asked.append((len(samples), output))
        future = Future()
        try:
            future.set_result(self._answer(samples))
        except Exception as error:  # noqa: BLE001 -- as the real one, it comes with the future
            future.set_exception(error)
        return future
