"""Arguments that commands share, and what is made of them."""

from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.loop import LoadOptions, Target
from benchmarks.load.sending import LIBRISPEECH, MANIFEST, Choice, Utterances, choose
from benchmarks.load.target import contract_of, embedded, running
from client.commands.arguments import add_beam_options, read_decoding
from client.commands.outputs import output_path
from client.commands.parser import positive
from client.commands.streams import messages
from client.decoding.options import DECODERS


def add_target(parser: ArgumentParser) -> None:
    """The server and the model; ``open_target`` reads them."""
    group = parser.add_argument_group("server")
    one = group.add_mutually_exclusive_group(required=True)
    one.add_argument("--url", metavar="HOST:PORT", help="gRPC address of a server that runs")
    one.add_argument(
        "--repository",
        type=Path,
        metavar="DIR",
        help="start the embedded server with this one; then its CPU time and memory are seen",
    )
    group.add_argument(
        "--gpu", action="store_true", help="with --repository: let the server use the GPU"
    )
    group.add_argument("--model", required=True, metavar="NAME", help="the model to use")
    group.add_argument(
        "--server-pid",
        type=positive(int),
        metavar="PID",
        help="with --url, on this machine: tritonserver's process, to see its CPU time and memory",
    )


def add_audio(parser: ArgumentParser) -> None:
    """What is sent; ``utterances_of`` reads it."""
    add = parser.add_argument_group("audio").add_argument
    add(
        "--lengths",
        metavar="L",
        help=f"{MANIFEST} (recordings as they are, the default with --manifest), {LIBRISPEECH} "
        "(a shape like that corpus's, the default without) or uniform:A:B seconds",
    )
    add(
        "--manifest",
        type=Path,
        metavar="M.jsonl",
        help="recordings to send, or to cut drawn lengths out of (default: noise)",
    )
    add("--utterances", type=positive(int), default=256, help="drawn lengths (%(default)s)")
    add("--seed", type=int, default=0, help="of lengths, order and arrivals (%(default)s)")


def add_load(parser: ArgumentParser, seconds: float | None = 10.0) -> None:
    """How long, and how answers are decoded; ``load_options`` reads them.

    ``seconds`` is the default length of a load, ``None`` when the command decides it.
    """
    group = parser.add_argument_group("load")
    if seconds is not None:
        one = group.add_mutually_exclusive_group()
        one.add_argument(
            "--seconds", type=positive(float), default=seconds, help="of each load (%(default)s)"
        )
        one.add_argument("--requests", type=positive(int), help="of each load, in place of seconds")
    add = group.add_argument
    add("--warmup", type=positive(float), default=2.0, help="seconds not counted (%(default)s)")
    add("--timeout", type=positive(float), default=60.0, help="seconds for a request (%(default)s)")
    decoding = parser.add_argument_group("decoding")
    add = decoding.add_argument
    add("--decoder", choices=tuple(DECODERS), help="default: the preset's, or greedy")
    add("--decoder-config", type=Path, metavar="PRESET.json", help="options as `tune` wrote them")
    add("--threads", type=int, default=0, metavar="N", help="beam: decode in N threads (0)")
    add_beam_options(decoding, without=("nbest",))


def add_output(parser: ArgumentParser, what: str) -> None:
    """``--output``, and ``what`` is written beside it."""
    parser.add_argument(
        "--output",
        type=output_path,
        metavar="RUN.json",
        help=f"figures and circumstances; {what} beside it",
    )


def add_resume(parser: ArgumentParser) -> None:
    """``--resume``; ``check_resume`` reads it."""
    parser.add_argument("--resume", action="store_true", help="keep what is in --output")


def check_resume(parser: ArgumentParser, parsed: Namespace) -> None:
    """End with usage where there is nothing to go on with."""
    if parsed.resume and parsed.output is None:
        parser.error("--resume: needs --output RUN.json, the run to go on with")


def open_target(parsed: Namespace) -> AbstractContextManager[Target]:
    """The server of the arguments, started if need be."""
    if parsed.repository is not None:
        return embedded(parsed.repository, parsed.model, gpu=parsed.gpu)
    return running(parsed.url, parsed.model, parsed.server_pid)


def utterances_of(parsed: Namespace, target: Target) -> Utterances:
    """The audio of the arguments, as the model takes it; says what was left out."""
    contract = contract_of(target)
    lengths = parsed.lengths or (LIBRISPEECH if parsed.manifest is None else MANIFEST)
    choice = Choice(lengths, parsed.manifest, parsed.utterances, parsed.seed)
    utterances = choose(choice, contract)
    if utterances.left_out:
        messages.print(f"left out: {utterances.left_out} recordings of lengths the model refuses")
    return utterances


def load_options(parser: ArgumentParser, parsed: Namespace) -> LoadOptions:
    """The load of the arguments. Raises ``DecoderError`` for a preset of no use."""
    preset = read_decoding(parser, parsed)
    return LoadOptions(
        seconds=getattr(parsed, "seconds", LoadOptions.seconds),
        requests=getattr(parsed, "requests", None),
        warmup_s=parsed.warmup,
        timeout_s=parsed.timeout,
        decoder=preset.decoder,
        threads=parsed.threads,
        seed=parsed.seed,
    )


def settings_of(parsed: Namespace, options: LoadOptions) -> dict[str, Any]:
    """What makes points comparable, ready for JSON: a run with other settings is another run."""
    chosen = {
        name: None if (value := getattr(parsed, name, None)) is None else str(value)
        for name in ("model", "url", "repository", "gpu", "lengths", "manifest", "utterances")
    }
    decoder = {name: value for name, value in asdict(options.decoder).items() if value is not None}
    return {
        **chosen,
        **{name: getattr(options, name) for name in ("seconds", "requests", "warmup_s", "seed")},
        "decoder": options.decoder.name,
        "decoder_options": decoder,
        "threads": options.threads,
    }
