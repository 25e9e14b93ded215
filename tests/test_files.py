import json
import os

import pytest

from merjax import files


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "scores.json"
    files.write_json(path, {"uf1": 0.5})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)  # the last moment before the new file is there
    with pytest.raises(KeyboardInterrupt):
        files.write_json(path, {"uf1": 0.9})
    assert json.loads(path.read_text()) == {"uf1": 0.5}
    monkeypatch.undo()
    files.write_json(path, {"uf1": 0.9})
    assert json.loads(path.read_text()) == {"uf1": 0.9}
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_tables_quote_what_needs_it(tmp_path):
    files.write_csv(tmp_path / "t.csv", ["a", "b"], [["x,y", 1 / 3], ["z", 2]])
    assert (tmp_path / "t.csv").read_text() == 'a,b\n"x,y",0.333333\nz,2\n'


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders are POSIX")
def test_a_pipe_is_written_to_and_a_link_leads_to_its_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_text(tmp_path / "pipe", "words")
    assert os.read(reader, 99) == b"words"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    files.write_text(tmp_path / "link", "words")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "words"
