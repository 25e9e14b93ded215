"""The report page: well-formed, self-contained, honest about how its epoch was chosen, and right in its pictures."""

import base64
import re
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from merjax.models.inside import Look
from merjax.report import dots, figures, paint
from merjax.report.charts import Evidence, charts
from merjax.report.dots import Dot
from merjax.report.gallery import Picture
from merjax.report.page import page
from merjax.report.svg import alone

VOID = {"meta", "link", "br", "wbr", "img"}


class Outline(HTMLParser):
    """Collects tags and attributes, and fails where tags are not balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.captions = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.seen.append((tag, dict(attrs)))
        if tag == "figcaption":
            self.captions.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "figcaption" in self.open:
            self.captions[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.seen if name == tag]


def rated(score, i):
    return {score: 0.8111 - i / 100, f"{score}_interval": [0.4444, 0.9222]}


def part(classes, absent=(), seeds=1):
    counts = {name: 0 if name in absent else 4 + i for i, name in enumerate(classes)}
    confusion = np.diag(list(counts.values())) * seeds
    run = {"accuracy": 0.7125, "uf1": 0.6543, "wf1": 0.6432, "uar": 0.6789}
    return {
        "n": sum(counts.values()),
        "subjects": 5,
        "classes": counts,
        **run,
        "uf1_interval": [0.5011, 0.7522],
        "wf1_interval": [0.4811, 0.7622],
        "uar_interval": [0.5233, 0.7744],
        "confusion": confusion.tolist(),
        "absent": list(absent),
        "per_class": {
            name: {key: value for score in ("precision", "recall", "f1") for key, value in rated(score, i).items()}
            for i, name in enumerate(classes)
        },
        "per_seed": [{"seed": seed, **run, "uf1": 0.6 + seed / 8} for seed in range(seeds)],
    }


def build(
    classes=("negative", "positive", "surprise"),
    databases=None,
    *,
    select="last",
    seeds=1,
    epochs=4,
    streams=1,
    size=28,
    channels=3,
    vector=True,
    loss=None,
    held_out="subject",
    **changes,
):
    databases = {"casme2": ()} if databases is None else databases
    scores = {
        "classes": list(classes),
        "protocol": "leave one subject out over 5 subjects",
        "held_out": held_out,
        "select": select,
        "seeds": list(range(seeds)),
        "wall_seconds": 3725.0,
        "compile_seconds": 12.34,
        "notes": [],
        "left_out": [],
        "whole": part(classes, seeds=seeds),
        "databases": {name: part(classes, absent, seeds) for name, absent in databases.items()},
        "plan": {
            **{"over_folds": "map", "rows": 5 * seeds, "rows_at_once": 3, "devices": 2, "gib_a_device": 0.25},
            **{"multiply_adds_a_step": 1234567, "parameters": 98765},
        },
        "calibration": {
            **{"error": 0.1357, "counts": [0, 3, 9]},
            **{"confidence": [0.0, 0.5, 0.9], "accuracy": [0.0, 0.4, 0.8]},
        },
        "hardest": [
            {
                **{"sample_id": f"{next(iter(databases), 'x')}/s1/hard", "label": classes[0], "probability": 0.0246},
                **{"instead": classes[1], "instead_probability": 0.7531, "right": 0},
            }
        ],
        "selections": {
            name: {"words": words, **part(classes, seeds=seeds)}
            for name, words in (("last", "the last epoch"), ("test", f"epoch chosen on the test {held_out}"))
        },
    }
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (streams, size, size, channels)).astype(np.float32)
    look = Look({f"stream_{i + 1}": rng.random((2, 4, 4)) for i in range(streams)}, {"gate": rng.random(8)})
    evidence = Evidence(
        loss=rng.random((5 * seeds, epochs)) if loss is None else loss,
        uf1=rng.random((seeds, epochs)),
        epochs={"test": rng.integers(0, epochs, (seeds, 5))},
        subjects={name: [Dot(f"s{i}", 3 + i, i / 4) for i in range(5)] for name in databases},
        shape=x.shape,
        pictures={name: [Picture(f"s1/{i}", x, name, name, (0.5, 0.5), look) for i in range(2)] for name in classes},
        vector=vector,
    )
    train = {"lr": 0.001, "epochs": epochs, "batch": 32, "optimizer": "adamw", "schedule": "onecycle", "augment": {}}
    return page(
        title="A run",
        scores=scores | changes,
        config={
            "data": {"name": "synthetic", "repair": "strict"},
            "input": {"name": "two_phases", "two_phases": {"side": 28}},
            "model": {"name": "<config>"},
            "train": train | {"loss": "focal", "class_weight": 0.5},
        },
        environment={"jax": "0.10.2", "commit": "0123abc", "command": "python run.py --config='a&b'"},
        evidence=evidence,
        drawn=charts(scores | changes, evidence),
    )


def pixels(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)


VARIANTS = [
    {},
    {"classes": ("yes", "no"), "epochs": 1, "vector": False, "channels": 1},
    {"classes": ("a very long name of a class, longer than any cell", "x" * 60, *"cdefgh"), "seeds": 3, "epochs": 60},
    {"databases": {"casme2": (), "samm": ("surprise",), "smic": ()}, "select": "test", "streams": 2},
    {"databases": {}, "size": 224, "vector": False, "notes": ["One."], "left_out": ["A clip: no images."] * 12},
    {"loss": np.full((5, 4), np.nan)},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_page_is_well_formed_and_self_contained(variant):
    text = build(**variant)
    outline = Outline(text)
    assert "script" not in {tag for tag, _ in outline.seen}
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", ""))
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"\bnan\b", re.sub(r"base64,[\w+/=]+", "", text))
    for attrs in outline.all("img") + outline.all("image") + outline.all("link"):
        assert attrs.get("src", attrs.get("href")).startswith("data:")
    assert all(attrs["alt"] or attrs["class"] == "scale" for attrs in outline.all("img"))
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in outline.all("svg"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_headings_are_ordered(variant):
    levels = [int(tag[1]) for tag, _ in Outline(build(**variant)).seen if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_page_tells_the_numbers():
    text = build(seeds=2, notes=["A remark."], left_out=["samm/006: no images."])
    for told in ("0.713", "0.654", "0.679", "[0.501, 0.752]", "[0.523, 0.774]", "0.643", "[0.481, 0.762]"):
        assert told in text
    for told in ("15 clips of 5 subjects", "UF1, held-out subjects"):
        assert told in text
    for told in ("leave one subject out over 5 subjects", "last epoch scored", "seeds 0 and 1", "0.725", "1 h 2 min"):
        assert told in text
    for told in ("A remark.", "samm/006: no images.", "12.3 s", "train.lr", "0.001", "0.10.2", "0123abc"):
        assert told in text
    for told in ("0.811 <span>[0.444, 0.922]", "0.136", "0.025", "0.753", "0 of 2", "98\u202f765 parameters"):
        assert told in text
    for told in (
        "policy <code>strict</code>; 1 clip left out",
        "1 note and the list",
        "1\u202f234\u202f567",
        "0.25 GiB",
    ):
        assert told in text
    assert "10 trainings (a fold under a seed), 3 at once, on 2 devices" in text
    assert "Summed over 2 seeds" in text
    assert "it chose nothing" in text
    assert escape("python run.py --config='a&b'") in text


def test_hostile_names_are_escaped():
    text = build(
        ("<b>", '"><i>', "a & b"),
        {"<u>one": (), "<u>two": ("<b>",)},
        notes=["<s>note"],
        left_out=["<s>left"],
        protocol="<em>",
    )
    Outline(text)
    for tag in ("<u>", "<i>", "<s>", "<em>", "<config>", "& b"):
        assert tag not in text
    assert "&lt;b&gt;" in text
    assert not re.search(r"<b>\s*<(?!/b>)", text)  # the page's own bold holds a number or a name


@pytest.mark.parametrize(("held_out", "other"), [("subject", "database"), ("database", "subject")])
@pytest.mark.parametrize("databases", [{"casme2": ()}, {"casme2": (), "smic": ("surprise",)}])
def test_every_score_says_that_its_epoch_was_chosen_on_what_is_tested(databases, held_out, other):
    text = build(databases=databases, select="test", seeds=2, held_out=held_out)
    words = f"epoch chosen on the test {held_out}"
    captions = [
        caption
        for caption in Outline(text).captions
        if not re.match(r"s1/|Clips per class|Mean training|The same pred", caption)
    ]
    assert len(captions) == (10 if len(databases) == 1 else 12)
    assert all(words in caption for caption in captions)
    assert words in text[: text.index("<h2>")]
    assert f"Every held-out {held_out} was scored at the epoch that suits it best" in text
    assert "chose nothing" not in text
    assert f"test {other}" not in text
    honest = build(databases=databases, seeds=2, held_out=held_out)
    assert f"[{words}]" not in honest
    # The row that shows by how much such a score is too high, and the level that is drawn for it.
    assert f'<th scope="row">{words}</th>' in honest
    drawn = [svg for svg in re.findall("<svg.*?</svg>", honest) if words in svg]
    assert len(drawn) == 1
    assert f">{words}: 0.654</text>" in drawn[0]
    assert honest.count(words) == 1 + drawn[0].count(words)
    assert f"the one chosen on the test {held_out} is too high for an unseen person" in honest


def test_every_score_says_that_subjects_are_mixed():
    text = build(held_out="part", protocol="5 random parts of the clips, subjects mixed", seeds=2)
    captions = [
        c for c in Outline(text).captions if not re.match(r"s1/|Clips per class|Mean training|The same pred", c)
    ]
    assert len(captions) == 10
    assert all("[subjects mixed]" in caption for caption in captions)
    assert "Read with care: subjects mixed." in text[: text.index("<h2>")]
    assert "chose nothing" in text
    both = build(held_out="part", select="test")
    assert "[epoch chosen on the test part, subjects mixed]" in both
    assert both.count("Read with care: ") == 2


@pytest.mark.parametrize("select", ["last", "test"])
def test_the_mean_over_databases_stands_among_the_scores_with_the_words_of_its_epoch(select):
    mean = {"accuracy": 0.4567, "uar": 0.3456, "uar_interval": [0.2111, 0.4222]}
    changes = {"select": select, "held_out": "database", "protocol": "leave one database out over 2 databases"}
    text = build(databases={"casme2": (), "samm": ()}, mean_of_databases=mean, **changes)
    table = text[text.index('aria-label="Scores"') : text.index('aria-label="Clips per class"')]
    assert "mean of databases" in table
    for told in ("0.457", "0.346", "[0.211, 0.422]"):
        assert told in table
    assert ("epoch chosen on the test database" in table) == (select == "test")
    assert "held-out databases" in text
    assert "mean of databases" not in build(databases={"casme2": (), "samm": ()})


def test_an_absent_class_is_named():
    text = build(databases={"casme2": (), "smic": ("positive", "surprise")})
    assert "smic has no clip of positive and surprise" in text
    assert "casme2 has no clip" not in text
    assert "<td>none</td>" in text
    assert "chance 1.000" in text  # one class is left in smic


@pytest.mark.parametrize(
    ("size", "vector", "side"), [(28, True, 28), (56, False, 56), (224, True, 224), (500, False, 224)]
)
def test_gallery_images_decode_to_at_most_twice_the_size_shown(size, vector, side):
    images = Outline(build(("yes", "no"), size=size, vector=vector, streams=2)).all("img")
    assert len([image for image in images if image["alt"]]) == 2 * 2 * (2 + 2)  # input and Grad-CAM of both streams
    assert {pixels(image["src"]).shape for image in images if image["alt"]} == {(side, side, 3)}


def test_png_keeps_pixels_and_channel_order():
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    decoded = pixels(paint.png(image))[..., ::-1]
    np.testing.assert_array_equal(decoded[::4, ::4], image)
    np.testing.assert_array_equal(decoded[3::4, 3::4], image)


def hue(rgb):
    return cv2.cvtColor(np.asarray(rgb, np.uint8).reshape(1, 1, 3), cv2.COLOR_RGB2HSV)[0, 0, 0].item()


@pytest.mark.parametrize(
    ("motion", "row", "column", "degrees"),
    [((1, 0), 32, 60, 0), ((0, 1), 60, 32, 54), ((-1, 0), 32, 4, 192), ((0, -1), 4, 32, 260)],
)
def test_flow_has_the_hue_of_its_side_of_the_wheel(motion, row, column, degrees):
    x = np.zeros((8, 8, 3), np.float32)
    x[..., :2] = motion
    shown = paint.flow_picture(x, paint.full_speed(x))
    assert (shown == shown[0, 0]).all()
    assert hue(shown[0, 0]) == hue(paint.wheel_picture(65)[row, column, :3])
    assert 2 * hue(shown[0, 0]) == degrees  # the customary wheel: right red, down yellow, left light blue, up violet


def test_still_flow_is_neutral_and_speed_is_relative_to_the_clip():
    still = np.zeros((8, 8, 3), np.float32)
    assert paint.full_speed(still) == 0
    assert (paint.flow_picture(still, 0.0) == 255).all()
    still[2:6, 2:6, 0] = 1
    pictures = [paint.flow_picture(scale * still, paint.full_speed(scale * still)) for scale in (np.float32(1e-3), 1)]
    np.testing.assert_array_equal(*pictures)
    assert (pictures[0][0, 0] == 255).all()
    assert np.ptp(pictures[0][3, 3]) > 200


def test_image_picture_shows_both_ranges():
    x = np.linspace(0, 1, 5, dtype=np.float32).reshape(1, 5, 1)
    np.testing.assert_array_equal(paint.image_picture(x, False)[0, :, 0], [0, 64, 128, 191, 255])
    np.testing.assert_array_equal(paint.image_picture(2 * x - 1, True), paint.image_picture(x, False))


def test_intervals_stand_where_their_numbers_say():
    drawn = figures.intervals([figures.Interval("a", 0.5, 0.25, 0.75, 1 / 3)], "UF1")
    ends = {label: float(x) for x, label in re.findall(r'<text x="([\d.]+)"[^>]*>([01]\.0)</text>', drawn)}
    place = lambda value: ends["0.0"] + value * (ends["1.0"] - ends["0.0"])  # noqa: E731
    assert float(re.search(r'cx="([\d.]+)"', drawn)[1]) == pytest.approx(place(0.5), abs=0.06)
    low, high = map(float, re.search(r'M([\d.]+) [\d.]+H([\d.]+)"', drawn).groups())
    assert (low, high) == pytest.approx((place(0.25), place(0.75)), abs=0.06)
    assert f"M{place(1 / 3):.1f} " in drawn


def test_curves_leave_a_gap_where_a_run_is_not_finite():
    values = np.array([[1.0, 2.0, np.nan, 2.0, 1.0]])
    drawn = figures.curves(values, "loss", band=False)
    line = re.search(r'd="(M[^"H V]*[^"]*L[^"]*)"', drawn)[1]
    assert line.count("M") == 2
    assert line.count("L") == 2


def test_the_bars_of_a_choice_stand_at_the_epochs_that_it_took():
    choice = figures.Choice("chosen so", np.array([0, 3, 3, 3]), 0.5, "var(--warm, #b3622a)")
    drawn = figures.curves(np.array([[0.2, 0.3, 0.4, 0.6]]), "UF1", band=False, ceiling=1.0, choices=[choice])
    bars = re.findall(r'<rect x="([\d.]+)"[^>]*width="([\d.]+)" height="([\d.]+)"[^>]*><title>([^<]*)</title>', drawn)
    assert [told for *_, told in bars] == ["epoch 1: 1 of 4", "epoch 4: 3 of 4"]
    assert float(bars[1][2]) == pytest.approx(3 * float(bars[0][2]), abs=0.2)
    dots = re.findall(r'<circle cx="([\d.]+)"', drawn)
    assert float(bars[1][0]) + float(bars[1][1]) / 2 == pytest.approx(float(dots[-1]), abs=0.1)  # the last epoch
    assert "chosen so: 0.500</text>" in drawn


def test_dots_of_subjects_stand_at_their_share_and_never_touch(rng):
    people = [
        Dot(f"s{i}", int(n), float(share))
        for i, (n, share) in enumerate(zip(*rng.integers(1, 7, (2, 60)), strict=True))
    ]
    people = [one._replace(share=one.share / 6) for one in people]
    drawn = dots.strips({"casme2": (people, 0.6)})
    told = re.findall(
        r"<title>(\w+): ([\d.]+) of (\d+) clips?</title><circle cx=\"([\d.]+)\" cy=\"([\d.]+)\" r=\"([\d.]+)\"", drawn
    )
    assert {(name, int(clips)) for name, _, clips, *_ in told} == {(one.name, one.clips) for one in people}
    shares, x, y, r = (np.array([float(row[i]) for row in told]) for i in (1, 3, 4, 5))
    np.testing.assert_allclose(np.polyval(np.polyfit(shares, x, 1), shares), x, atol=0.2)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) - (r[:, None] + r) + 1e9 * np.eye(len(x))
    assert apart.min() > -0.3  # rounding of what is written


def test_a_file_of_a_figure_has_fixed_colours_and_the_words_of_its_epoch():
    drawn = figures.intervals([figures.Interval("a", 0.5, 0.25, 0.75, 1 / 3)], "UF1")
    assert "var(" in drawn
    for words in ("", "epoch chosen on the test subject"):
        file = alone(drawn, words)
        ElementTree.fromstring(file)
        assert "var(" not in file
        assert "currentColor" not in file
        assert (f">{words}</text>" in file) == bool(words)
