"""The commands of ``python -m client``, a module each with ``main(arguments) -> exit status``."""
