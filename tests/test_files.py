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
