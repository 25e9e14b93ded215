from merjax.report import environment


def test_versions_are_told_and_an_absent_package_stops_no_report(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("jax", "no-such-package"))
    told = environment.ran_on()
    assert told["jax"].count(".") >= 1
    assert told["no-such-package"] == ""
    assert {"python", "devices", "commit", "command"} <= set(told)
