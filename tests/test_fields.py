"""A config has the fields of the standard one and no others: in a notebook, a file, a grid and on the command line."""

import pytest
from ml_collections import ConfigDict

from merjax import config, fields, main, sweep
from merjax.types import InputError


def changed(change):
    c = config.default()
    change(c)
    return c


def named(c, path, value):
    *sections, name = path.split(".")
    for section in sections:
        c = c[section]
    c[name] = value


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("train.epoch", "train.epochs"),
        ("train.batch_size", "train.batch"),
        ("epochs", "train.epochs"),
        ("lr", "train.lr"),
        ("trian", "train"),
        ("model.nmae", "model.name"),
        ("model.linear.width", "model.linear.grid"),
        ("data.synthetic.subject", "data.synthetic.subjects"),
        ("train.focal.gama", "train.focal.gamma"),
        ("frames.equalize", "frames.equalise"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_in_a_notebook_a_grid_and_on_the_command_line(
    tmp_path, path, nearest
):
    sentence = f"{path} is no field; the nearest is {nearest}"
    with pytest.raises(InputError) as error:
        main.run(changed(lambda c: named(c, path, 3)), tmp_path / "run")
    assert str(error.value) == sentence
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=f"^point {path}=3 of the grid: {sentence}$"):
        sweep.points(config.default(), [{path: 3}])
    with pytest.raises(InputError, match=f"^{sentence}$"):
        config.check_names([path])


def test_a_component_without_arguments_has_no_fields_and_a_value_has_none():
    with pytest.raises(InputError, match=r"^input\.apex\.size is no field; input\.apex has no fields of its own$"):
        config.check(changed(lambda c: named(c, "input.apex.size", 3)))
    with pytest.raises(InputError, match=r"^seeds\.many is no field; seeds has no fields of its own$"):
        config.check_names(["seeds.many"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.train.__delattr__("lr"), "train.lr is missing; a config should begin as config.default()"),
        (lambda c: c.__delattr__("train"), "train is missing; "),
        (lambda c: named(c, "train", ConfigDict({"epochs": 3})), "train.accumulate is missing; "),
        (lambda c: named(c, "data.root", None), "data.root is None; it should be a text"),
        (lambda c: named(c, "seed", True), "seed is True; it should be a whole number"),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(change, sentence):
    with pytest.raises(InputError) as error:
        config.check(changed(change))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("train", 3, "train is 3; it should be a section, with fields of its own"),
        ("seed", ConfigDict({"a": 1}), "seed is a section; it should be a whole number"),
        ("train.views", 3, "train.views is 3; it should be a tuple"),
        ("train.flips", "yes", "train.flips is 'yes'; it should be True or False"),
    ],
)
def test_a_section_is_no_value_and_a_value_no_section(path, value, sentence):
    c = ConfigDict(config.default().to_dict(), type_safe=False)
    named(c, path, value)
    with pytest.raises(InputError) as error:
        config.check(c)
    assert str(error.value) == sentence


@pytest.mark.parametrize("given", [{"seed": 3}, None, config])
def test_what_is_no_config_is_named(given):
    with pytest.raises(InputError, match=r"^the config is a \w+; it should be a ConfigDict, as config\.default\(\)"):
        fields.check(given, config.default())


def test_groups_of_emotions_may_have_any_names_and_a_rate_may_be_a_whole_number():
    c = config.default()
    c.data.casme2.own = ConfigDict({"pleasant": ("happiness",), "other": ("disgust", "sadness")})
    c.train.lr = 1
    config.check(c)
    config.check(config.default().lock())
    config.check_names(["data.casme2.own.pleasant", "train.lr", "model.linear.grid"])
