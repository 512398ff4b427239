"""Experiments: what is written reads back, and what no run could use is refused in one line that helps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fer_tl.core import config_keys
from fer_tl.core.check_config import check
from fer_tl.core.config import Augment, Experiment, Head, Optimizer, Schedule
from fer_tl.core.config_keys import PLACES, dump_yaml, flatten, identity, own_settings, to_dict, walk
from fer_tl.core.errors import UserError
from fer_tl.core.options import load_experiment

NESTED = Experiment(
    data="folder/mine",
    run_dir="runs/é",
    backbone="shallow_cnn",
    weights="none",
    image_size=48,
    head=Head(pooling="max", dense=(64, 32), activation="sigmoid", dropout=(0.0, 0.25, 0.5)),
    unfreeze=20,
    optimizer=Optimizer(name="sgd", rate=1e-4, nesterov=False, clip=1.0),
    schedule=Schedule(kind="plateau", factor=0.5),
    augment=Augment(flip=False, rotation=0.1 + 0.2),
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "experiment.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(config: Path | None = None, **overrides: Any) -> str:
    """The message with which an experiment is refused; one line."""
    with pytest.raises(UserError) as caught:
        load_experiment(config, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_an_experiment() -> None:
    assert load_experiment() == Experiment()


@pytest.mark.parametrize(
    "experiment", [Experiment(), NESTED, replace(Experiment(), head=Head(dense=(), dropout=(0.5,)))]
)
def test_a_written_experiment_reads_back(tmp_path: Path, experiment: Experiment) -> None:
    assert load_experiment(write(tmp_path, dump_yaml(experiment))) == experiment
    assert load_experiment(**to_dict(experiment)) == experiment
    assert json.loads(json.dumps(to_dict(experiment))) == to_dict(experiment)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_experiment(write(tmp_path, "# nothing yet\n")) == Experiment()
    assert load_experiment(write(tmp_path, "head: {}\n")) == Experiment()


def test_paths_may_be_paths(tmp_path):
    named = load_experiment(data_dir=tmp_path, distill={"teachers": [tmp_path / "run"]}, weights=tmp_path / "a.keras")
    assert named == load_experiment(
        data_dir=str(tmp_path), distill={"teachers": [str(tmp_path / "run")]}, weights=str(tmp_path / "a.keras")
    )


def test_keywords_override_the_file_and_leave_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, "folds: 5\nseed: 3\nhead: {dense: [64], activation: tanh}\n")
    loaded = load_experiment(path, folds=7, head={"dense": (32, 16)})
    assert (loaded.folds, loaded.seed) == (7, 3)
    assert loaded.head == Head(dense=(32, 16), activation="tanh")


def test_numbers_get_the_type_of_their_option(tmp_path: Path) -> None:
    """YAML reads 1e-3 as text and 1 as a whole number; both are learning rates, and equal runs share a folder."""
    for text, rate in (("1e-3", 1e-3), ("1", 1.0), ("'0.5'", 0.5)):
        loaded = load_experiment(write(tmp_path, f"optimizer: {{rate: {text}}}")).optimizer.rate
        assert loaded == rate
        assert isinstance(loaded, float)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("flods: 3", ["unknown key 'flods'", "'folds'"]),
        ("batch-size: 3", ["unknown key 'batch-size'", "'batch_size'"]),
        ("dense: [3]", ["unknown key 'dense'", "'head.dense'"]),
        ("head: {dens: [3]}", ["unknown key 'head.dens'", "'head.dense'"]),
        ("optimizer:\n  learning_rate: 1", ["unknown key 'optimizer.learning_rate'", "'optimizer."]),
        ("schedule: {kind: {of: step}}", ["unknown key 'schedule.kind.of'", "'schedule.kind'"]),
        ("optimizer: adam", ["unknown key 'optimizer'", "optimizer.name"]),
        ("head:", ["unknown key 'head'", "head.dense"]),
        ("1: 2", ["unknown key '1'", "alpha", "weights"]),
    ],
)
def test_an_unknown_key_names_the_file_and_the_nearest(tmp_path: Path, text: str, parts: list[str]) -> None:
    message = refusal(write(tmp_path, text))
    assert "experiment.yaml" in message
    for part in parts:
        assert part in message


def test_an_unknown_keyword_names_the_nearest() -> None:
    assert "'folds'" in refusal(flods=3)
    assert "'head.dropout'" in refusal(head={"dropuot": [0.1]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- folds: 3", "holds a list"),
        ("just words", "holds a str"),
        ("42", "holds a int"),
        ("head: [", "not valid YAML"),
        ("folds: 3\n\tseed: 1", "not valid YAML"),
        ("a: !!python/object:os.system {}", "not valid YAML"),
        ("data: 2026-13-01", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (b"folds: \x00", "not valid YAML"),
        ("data: 2026-08-01", "'data' holds a date; put text in quotes"),
        ("run_dir: !!binary aGk=", "'run_dir' holds a bytes"),
        ("head: {dense: [[64]]}", "'head.dense' holds a list"),
    ],
)
def test_what_is_no_config_is_named(tmp_path: Path, text: str | bytes, reason: str) -> None:
    message = refusal(write(tmp_path, text))
    assert "experiment.yaml" in message
    assert reason in message


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    assert "there is no config file and no recipe" in refusal(tmp_path / "none.yaml")
    assert "is a folder: give a config file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"folds": "many"}, "'folds' should be a whole number, but is 'many'"),
        ({"folds": 3.5}, "'folds' should be a whole number, but is '3.5'"),
        ({"folds": True}, "'folds' should be a whole number"),
        ({"folds": [1, 2]}, "'folds' should be a whole number"),
        ({"optimizer": {"rate": "fast"}}, "'optimizer.rate' should be a number, but is 'fast'"),
        ({"augment": {"flip": "maybe"}}, "'augment.flip' should be true or false"),
        ({"head": {"dense": 64}}, "'head.dense' should be a list of numbers such as [64,32]"),
        ({"head": {"dense": [1.5]}}, "'head.dense' should be a list"),
        ({"data": 5}, "'data' should be text"),
        ({"weights": None}, "'weights' needs a value, but is null"),
        ({"epochs": None}, "'epochs' needs a value, but is null"),
        ({"optimizer": {"rate": None}}, "'optimizer.rate' needs a value, but is null"),
        ({"unfreeze": True}, "'unfreeze' should be one of all, none or a whole number"),
    ],
)
def test_a_wrong_type_is_named_with_the_right_one(given: dict[str, Any], reason: str) -> None:
    assert reason in refusal(**given)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ({"optimizer": {"name": "adm"}}, "adam"),
        ({"schedule": {"kind": "cosin"}}, "cosine"),
        ({"head": {"pooling": "average"}}, "avg"),
        ({"precision": "mixed_bf16"}, "mixed_bfloat16"),
        ({"unfreeze": "al"}, "all"),
        ({"strategy": "mirror"}, "mirrored"),
    ],
)
def test_a_near_miss_of_a_choice_gets_all_choices_and_the_nearest(given: dict[str, Any], nearest: str) -> None:
    (name, value), *_ = flatten(given).items()
    message = refusal(**given)
    assert message.startswith(f"'{name}' should be one of ")
    assert f"but is '{value}'" in message
    assert nearest in message.split("but is")[0]
    if nearest != "avg":  # too far from what was given
        assert f"did you mean '{nearest}'?" in message


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"folds": 1}, "'folds' should be between 2 and 1000, but is 1"),
        ({"batch_size": 0}, "'batch_size' should be between 1 and"),
        ({"epochs": -1}, "'epochs' should be between 1 and"),
        ({"fold_seed": -1}, "'fold_seed' should be between 0 and 4294967295, but is -1"),
        ({"fold_seed": 1, "fold_table": "t.csv"}, "'fold_seed' draws folds and 'fold_table' gives them: use one"),
        ({"seed": 2**32}, "'seed' should be between 0 and 4294967295, but is 4294967296"),
        ({"image_size": 4}, "'image_size' should be between 8 and"),
        ({"holdout": 0.9}, "'holdout' should be between"),
        ({"optimizer": {"rate": 0}}, "'optimizer.rate' should be between"),
        ({"optimizer": {"rate": -1e-3}}, "but is -0.001"),
        ({"optimizer": {"momentum": 1.0}}, "'optimizer.momentum' should be between"),
        ({"schedule": {"factor": 2}}, "'schedule.factor' should be between"),
        ({"augment": {"rotation": 181}}, "'augment.rotation' should be between"),
        ({"unfreeze": 0}, "'unfreeze' should be all, none or a positive number of layers, but is 0"),
        ({"precision": "auto", "strategy": "multiworker"}, "'precision: auto' is tried on one machine"),
        ({"precision": "auto", "workers": ["a:1", "b:1"]}, "'precision: auto' is tried on one machine"),
        ({"schedule": {"kind": "plateau", "warmup": 1}}, "'schedule.warmup' does not go with 'schedule.kind: plateau'"),
        ({"schedule": {"kind": "one_cycle", "warmup": 1}}, "'schedule.kind: one_cycle', which rises by itself"),
        ({"augment": {"mixup": -1}}, "'augment.mixup' should be between"),
        ({"unfreeze": "none", "optimizer": {"layer_decay": 0.9}}, "'optimizer.layer_decay' is for the layers of the"),
        ({"accumulate": 3}, "'batch_size' 64 does not divide into 3 parts (--accumulate): use a multiple of 3"),
        ({"augment": {"mix_epochs": 0.8}}, "'augment.mix_epochs' belongs to MixUp and CutMix: use --augment.mixup or "),
        ({"augment": {"mix_share": 0.5}}, "'augment.mix_share' belongs to MixUp and CutMix"),
        ({"augment": {"mixup": 1, "mix_share": 1.5}}, "'augment.mix_share' should be between"),
        ({"augment": {"erase": 2}}, "'augment.erase' should be between 0.0 and 1.0"),
        ({"augment": {"blur": 9}}, "'augment.blur' should be between 0.0 and 4.0"),
        ({"augment": {"policy": "trivial", "strength": 0.5}}, "'augment.strength' belongs to RandAugment"),
        ({"augment": {"policy": "random"}}, "one of none, trivial, rand, but is 'random'; did you mean 'rand'?"),
        ({"loss": {"gamma": 3}}, "'loss.gamma' belongs to the focal loss"),
        ({"loss": {"smoothing": 1}}, "'loss.smoothing' should be between"),
        (
            {"class_weights": "balanced", "sampling": "balanced"},
            "'class_weights: balanced' and 'sampling: balanced' even out the classes twice",
        ),
        (
            {"sampling": "balanced", "loss": {"logit_adjustment": 1}},
            "'sampling: balanced' and 'loss.logit_adjustment' even out the classes twice",
        ),
    ],
)
def test_a_value_that_no_run_could_use_is_refused(given: dict[str, Any], reason: str) -> None:
    assert reason in refusal(**given)


FLOATS = [name for name, kind, *_ in walk() if kind is float]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_number_may_be_nan_or_infinite(name: str, value: float) -> None:
    group, _, member = name.rpartition(".")
    assert f"'{name}' should be" in refusal(**({group: {member: value}} if group else {member: value}))


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    assert "'optimizer.rate' should be between" in refusal(write(tmp_path, "optimizer: {rate: .nan}"))


def test_places_do_not_change_what_a_run_is() -> None:
    moved = replace(NESTED, data_dir="/elsewhere", run_dir=None, strategy="tpu", accept_licence="vggface")
    moved = replace(
        moved,
        workers=("a:1", "b:1"),
        worker=1,
        cluster_secret="s",
        input="stream",
        fold=1,
        jobs=2,
        executor="ray",
        executor_options="num_cpus=2",
        cache_limit=3.0,
        seeds="0,1",
        track="mlflow",
    )
    assert identity(moved) == identity(NESTED)
    assert set(identity(NESTED)) == {name for name, *_ in walk()} - {
        "data_dir",
        "run_dir",
        "strategy",
        "accept_licence",
        "workers",
        "cluster_secret",
        "worker",
        "input",
        "fold",
        "jobs",
        "executor",
        "executor_options",
        "track",
        "seeds",
        "cache_limit",
    }


def test_a_fold_is_one_of_the_folds() -> None:
    assert load_experiment(folds=3, fold=2).fold == 2
    assert "'fold' 3 is not one of the 3 folds: they count from 0" in refusal(folds=3, fold=3)


@pytest.mark.parametrize("name", [name for name, *_ in walk() if name not in PLACES])
def test_every_other_option_does(name: str) -> None:
    """No option is forgotten by what tells runs apart."""
    default = flatten(to_dict(Experiment()))
    words = ["imagenet", "none", "sgd", "step", "mixed_float16", "balanced", "frozen", "max", "elu", "3x3", "centred"]
    for value in (0.05, 1, 2, 24, *words, "focal", "rand", [1], [0.5], ["a", "b"], True, False):
        group, _, member = name.rpartition(".")
        known = {
            "loss.gamma": {"name": "focal"},
            "augment.strength": {"policy": "rand"},
            "keep_start": {"weights": "model.keras"},
        }
        needed = {"mixup": 0.2} if name.startswith("augment.mix_") else known.get(name, {})
        plain = load_experiment(**({group: needed} if group else needed))
        given = {member: value} | needed
        try:
            changed = load_experiment(**({group: given} if group else given))
        except UserError:
            continue
        if flatten(to_dict(changed))[name] != default[name]:
            assert identity(changed) != identity(plain)
            return
    pytest.fail(f"no value that {name} takes")


def test_an_option_more_changes_the_own_settings_of_no_run_that_leaves_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = load_experiment(epochs=9, head={"dense": [8]})
    before = own_settings(changed)
    assert before == {"epochs": 9, "head.dense": [8]}
    monkeypatch.setattr(config_keys, "identity", lambda experiment: identity(experiment) | {"newer": 0.0})
    assert own_settings(changed) == before


def test_every_option_is_documented() -> None:
    for name, _, _, text, _ in walk():
        assert len(text) > 4, name
        assert text == text.strip().rstrip("."), name


@pytest.mark.parametrize("text", ["epochs: 3\nepochs: 4\n", "head:\n  dense: [1]\n  dense: [2]\n"])
def test_a_repeated_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=r"occurs twice, again in line [23]"):
        load_experiment(tmp_path / "x.yaml")


@pytest.mark.parametrize("settings", [{"epochs": "3"}, {"folds": None}, {"optimizer": Optimizer(rate="fast")}])
def test_wrong_types_given_from_python_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"should be a number|needs a value"):
        check(Experiment(**settings))
