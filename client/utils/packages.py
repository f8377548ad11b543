"""Optional packages: what to say where one is missing."""


def missing_package(extra: str, package: str) -> str:
    """The message for a missing package of one of the project's extras."""
    return (
        f"the package {package} is not installed: run pip install -c constraints/runtime.txt "
        f"'.[{extra}]' in the checkout"
    )
