"""The report as a browser sees it: a silent console, nothing asked of any network, words for every figure."""

import json
import re
import shutil
import subprocess

import pytest
from test_page import Outline, build

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; Debian's is `apt-get install chromium`")
QUIET = ("--disable-background-networking", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND")


def opened(folder, text, *more):
    """The page as the browser made it, the lines of its console, and the addresses that were asked for."""
    (folder / "page.html").write_text(text)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *QUIET, f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", f"--log-net-log={folder / 'net.json'}", *more, "--dump-dom"]
    done = subprocess.run([*command, f"file://{folder / 'page.html'}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    events = json.loads((folder / "net.json").read_text())["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    # What the browser asks for by itself, such as the time, has no origin.
    urls = {params["url"] for params in asked if params["initiator"] != "not an origin"}
    return done.stdout, console, {url for url in urls if not url.startswith(("file:", "data:"))}


@pytest.mark.parametrize("select", ["last", "test"])
@pytest.mark.parametrize("scheme", [0, 1])  # dark, light
def test_a_report_opens_without_a_complaint_and_without_a_network(tmp_path, select, scheme):
    text = build(databases={"casme2": (), "samm": ("surprise",)}, select=select, seeds=2, streams=2)
    page, console, urls = opened(tmp_path, text, f"--blink-settings=preferredColorScheme={scheme}")
    assert console == []
    assert urls == set()
    outline = Outline(page)
    figures = re.findall("<figure.*?</figure>", page, re.S)
    assert len(figures) >= 12
    for figure in figures:
        assert re.search("<figcaption>[^<]*[a-z]", figure)
        assert "aria-label=" in figure or "alt=" in figure or "<dl" in figure
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in outline.all("svg"))
    assert all(attrs["alt"] or attrs["class"] == "scale" for attrs in outline.all("img"))


def test_the_browser_would_tell_of_an_error_and_of_a_request(tmp_path):
    bad = '<p>x</p><img alt="" src="http://127.0.0.1:9/a.png"><script>console.error("amiss")</script>'
    _, console, urls = opened(tmp_path, bad)
    assert any("amiss" in line for line in console)
    assert urls == {"http://127.0.0.1:9/a.png"}
    kept = build().replace("</main>", f"{bad}</main>")  # the page's own policy refuses both
    _, console, urls = opened(tmp_path, kept)
    assert any("Content Security Policy" in line for line in console)
    assert not any("amiss" in line and "Content Security Policy" not in line for line in console)
    assert urls == set()


def test_paper_shows_what_is_folded_away_on_the_screen(tmp_path):
    (tmp_path / "page.html").write_text(build())
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *QUIET, f"--user-data-dir={tmp_path / 'p'}"]
    out = tmp_path / "page.pdf"
    subprocess.run(
        [*command, f"--print-to-pdf={out}", f"file://{tmp_path / 'page.html'}"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert out.read_bytes().startswith(b"%PDF")
    if reader := shutil.which("pdftotext"):
        told = subprocess.run([reader, out, "-"], capture_output=True, text=True, check=True).stdout
        for words in ("How to repeat", "train.batch", "0123abc", "Expected calibration error"):
            assert words in told
