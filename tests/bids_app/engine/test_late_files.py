"""Files of other machines may be seen late: they are looked for again, and not for ever."""

import threading

from scaae_nipype.bids_app.engine import late_files


def test_a_file_that_appears_late_is_found(tmp_path, capsys):
    threading.Timer(0.3, (tmp_path / "card.json").touch).start()
    assert late_files.appears((tmp_path / "card.json").is_file, every=0.05)
    assert "No model is there yet" in capsys.readouterr().out


def test_what_never_appears_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(late_files, "LONGEST", 0.2)
    assert not late_files.appears((tmp_path / "card.json").is_file, every=0.05)
