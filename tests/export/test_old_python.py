"""Debian 12's Python 3.11.2 has no filters for archives, which NeMo 3.0 asks for."""

import tarfile

from export.checkpoint import load_checkpoint


def test_a_checkpoint_is_loaded_where_archives_have_no_filters(nemo_file, monkeypatch):
    extract = tarfile.TarFile.extract

    def as_in_python_3_11_2(archive, member, path="", set_attrs=True, *, numeric_owner=False):  # noqa: FBT002
        extract(archive, member, path, set_attrs, numeric_owner=numeric_owner)

    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(tarfile.TarFile, "extract", as_in_python_3_11_2)
    assert load_checkpoint(str(nemo_file)).vocabulary
    assert tarfile.TarFile.extract is as_in_python_3_11_2
