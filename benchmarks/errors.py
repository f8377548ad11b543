"""What can go wrong with a benchmark."""


class BenchmarkError(Exception):
    """Base of all errors this package raises."""


class ModelError(BenchmarkError):
    """A model is missing from the repository, or is none that this project exported."""


class ProviderError(BenchmarkError):
    """The hardware or library that was asked to compute cannot be used."""


class SpeechError(BenchmarkError):
    """Recordings or references are missing, or cannot be measured with."""


class PeerError(BenchmarkError):
    """Something that this project is compared with is not installed, did not load, or failed."""


class LoadError(BenchmarkError):
    """A load cannot be put on a server, or the server died or failed under it."""


class BundleError(BenchmarkError):
    """A bundle for another machine is incomplete, damaged, or cannot be made."""
