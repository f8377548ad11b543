"""The commands of ``nemo-ctc``, a module each with ``main(arguments) -> exit status``."""
