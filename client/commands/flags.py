"""What a command line calls the options that errors name: the one table of flags and commands.

The library names options in Python (``AsrError.options``); a command prints ``error.text(FLAGS)``.
"""

from collections.abc import Iterable, Mapping
from typing import Final

FLAGS: Final[Mapping[str, str]] = {
    "Transcriber.url": "--url; `make serve` starts a server",
    "ConnectionOptions.tls": "--tls",
    "ConnectionOptions.ca": "--tls-ca",
    "ConnectionOptions.certificate": "--tls-certificate",
    "ConnectionOptions.key": "--tls-key",
    "ConnectionOptions.headers": "--header, --restricted-key",
    "TransportOptions.timeout_s": "--timeout",
    "TransportOptions.max_in_flight": "--in-flight",
    "AudioOptions.channel": "--channel",
    "AudioOptions.max_duration_s": "--max-duration",
    "SegmentationOptions.method": "--segment",
    "SegmentationOptions.overlap_s": "--overlap",
    "SegmentationOptions.window_s": "--window",
    "VadOptions.threshold": "--vad-threshold",
    "VadOptions.min_silence_s": "--min-silence",
    "BeamOptions.lm_case": "--lm-case",
    "BeamOptions.hotwords": "--hotword",
    "EvaluationOptions.tokenizers": "--tokenizer",
    "hold_out()": "--held-out",
    "Results.path": "--output",
    "Results.resume": "--resume",
    "RayEngine.resume": "--resume",
    "Source.transcripts": "--transcripts",
    "Source.audio_column": "--audio-column",
    "Source.text_column": "--text-column",
    "read_source(kind)": "--kind",
    "convert(case)": "--case",
    "BinaryOptions.memory": "--memory",
    "BinaryOptions.type": "--type",
    "AcousticOptions.cache": "--cache DIR, XDG_CACHE_HOME",
    "transcribe()": "`nemo-ctc transcribe FILE`",
    "list_models()": "`nemo-ctc models`",
    "read_source()": "`nemo-ctc manifest`",
    "train()": "`nemo-ctc lm train`",
    "convert()": "`nemo-ctc lm convert`",
    "find_tool()": "`make kenlm-tools`",
    "write_preset()": "`nemo-ctc tune`",
}


def flags(names: Iterable[str]) -> str:
    """The options of a command line whose values have these names."""
    given = ("hotword" if name == "hotwords" else name for name in names)  # one each time
    return ", ".join("--" + name.replace("_", "-") for name in given)
