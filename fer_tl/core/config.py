"""An experiment as one frozen, typed object.

The names of the fields are the keys of the YAML files and, with ``-`` for ``_``, the flags of the command line:
``--head.dense`` is ``head: {dense: ...}``, one of the groups in ``config_groups.py``; ``config_keys.py`` turns an
experiment into such keys and ``options.py`` reads them. Nothing here imports TensorFlow or Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fer_tl.core.config_groups import Augment, Distill, Head, Loss, Optimizer, Schedule, option
from fer_tl.core.option_words import listed

TRACKERS = ("tensorboard", "mlflow", "wandb")


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run, and where it reads and writes."""

    data: str = option(
        "toyfaces",
        "dataset built with fer-tl build: fer2013, folder/mine, ...; toyfaces is drawn on the spot; without this "
        "option, a command takes the only dataset of photographs that has been built",
    )
    data_dir: str = option("data", "folder that holds the built datasets")
    classes: tuple[str, ...] | None = option(
        None,
        "the classes to learn, in label order, as a list of names and of merged ones such as negative=angry+disgust; "
        "images of others are left out; default: those of the dataset",
    )
    run_dir: str | None = option(None, "folder of the run; default: runs/<data>-<backbone>-<hash of the settings>")
    backbone: str = option("mobilenetv2", "model, one of those that fer-tl models lists")
    alpha: float = option(1.0, "width multiplier of mobilenetv2, resnet18, shallow_cnn and facevgg", limits=(0.1, 4.0))
    activation: Literal["relu", "elu", "tanh"] | None = option(None, "activation in the liu CNNs; default: relu")
    stem: Literal["7x7", "3x3"] | None = option(
        None, "first layers of resnet18: 7x7 shrinks by 4 as for ImageNet, 3x3 keeps small images whole; default: 7x7"
    )
    weights: str = option(
        "imagenet",
        "starting weights: imagenet, vggface (vgg16), fer2013 (the network that ships with fer-tl, of its backbone), "
        "none, or a file; published ones and models of fer-tl bring their own pixel scaling; without this option, a "
        "backbone that has no published weights starts from none",
    )
    accept_licence: Literal["vggface"] | None = option(
        None, "vggface: you accept that the VGGFace weights are for non-commercial research only"
    )
    stochastic_depth: float = option(
        0.0,
        "resnet18 and liu_residual: probability that a training step skips an image's last residual block, lower "
        "for earlier blocks; 0 for none",
        limits=(0.0, 0.9),
    )
    channels: Literal[1, 3] | None = option(
        None,
        "colour channels that the backbone sees: colours become grey with 1; default: those of the weights or backbone",
    )
    pixels: Literal["backbone", "scratch", "imagenet", "vggface", "centred", "standardized"] = option(
        "backbone",
        "scaling of the pixels: backbone: that of the weights; centred: each image's mean subtracted, then 1/127.5; "
        "standardized: each image's mean subtracted, then divided by the standard deviation of the fold's training "
        "images; for a weights file that does not say: imagenet or vggface, like those weights, or scratch, like none",
    )
    image_size: int | None = option(
        None, "side in pixels to which the model resizes; default: the backbone's", limits=(8, 2048)
    )
    head: Head = field(default_factory=Head)
    folds: int = option(4, "number of folds", limits=(2, 1000))
    repeats: int = option(
        1,
        "cv: how often it is repeated, each time with folds drawn anew; fold F of repetition R, both from 0, is part "
        "R * folds + F",
        limits=(1, 100),
    )
    fold_table: str | None = option(
        None,
        "CSV with the columns id and fold (fold_1 and so on for further repetitions) to use instead of drawing folds, "
        "as written by fer-tl folds",
    )
    group_folds: bool = option(
        True,
        "images of one group (duplicates, faces of one photo) share a fold; false leaks, to measure what that is worth",
    )
    seed: int = option(0, "seed of weights, order, augmentation, dropout, and of folds too", limits=(0, 2**32 - 1))
    fold_seed: int | None = option(
        None, "seed of the folds alone, to train with other seeds on the same folds; default: --seed", (0, 2**32 - 1)
    )
    seeds: tuple[int, ...] | str | None = option(
        None,
        "cv, train, distill and sweep: a run for each of these seeds, such as 0,1,2, each in its own folder inside the "
        "run's, all on the same folds (--fold-seed, by default the first seed); the tables show mean and spread",
    )
    batch_size: int = option(64, "images per step, over all devices", limits=(1, 65536))
    accumulate: int = option(
        1,
        "parts in which the images of a step are computed one after the other, with their gradients added: a large "
        "batch then takes the memory of one part",
        limits=(1, 1024),
    )
    epochs: int = option(8, "epochs of the main stage", limits=(1, 100_000))
    stop_after: int | None = option(
        None,
        "end the main stage after this many epochs, with the learning rates of the full schedule; default: run all",
        limits=(0, 100_000),
    )
    head_epochs: int = option(
        0, "epochs before that, in which only the head learns, at a constant rate", limits=(0, 100_000)
    )
    unfreeze: int | Literal["all", "none"] = option(
        "all", "what learns in the main stage besides the head: all, none, or the last N layers"
    )
    batch_norm: Literal["train", "frozen"] = option("train", "BatchNorm in the part of the backbone that learns")
    batch_norm_momentum: float = option(0.99, "largest momentum of its moving averages", limits=(0.0, 0.9999))
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)
    distill: Distill = field(default_factory=Distill)
    class_weights: Literal["none", "balanced"] = option(
        "none", "weight of a class in the loss; balanced: 1 / its share"
    )
    sampling: Literal["shuffle", "balanced"] = option(
        "shuffle", "images of an epoch: each once, or equally many of every class (rare ones repeated)"
    )
    ema: float = option(
        0.0,
        "decay per step (0.999) of a moving average of the weights, which is scored and saved; 0: none",
        (0.0, 0.999999),
    )
    keep_start: float = option(
        0.0,
        "when the start is a fer-tl model for the same classes: share of its weights, head included, in those that are "
        "scored and saved, so that it keeps more of what it could do before",
        limits=(0.0, 0.99),
    )
    early_stopping: int = option(
        0, "stop after this many epochs without improvement, and keep the best; 0: never", limits=(0, 100_000)
    )
    holdout: float = option(
        0.1,
        "share of the training images that early stopping and plateau monitor, so that the held-out fold stays unseen",
        limits=(0.01, 0.5),
    )
    # Of FER-2013 with MobileNetV2 at 96 px, 20 epochs: 1 view 44.5 %, 2 views 45.2 %, 4 views 45.3 % out of fold, each
    # within 0.7 points (95 %); a view costs a pass over the images.
    views: int = option(
        2,
        "frozen backbone (unfreeze none): features are computed once, for each image as it is and for this many "
        "augmented views, which the epochs take in turn; 0: new augmentation and features in every epoch",
        limits=(0, 100),
    )
    cache_limit: float = option(
        20.0,
        "gigabytes of such features to keep under DATA_DIR/.cache; the least recently used are dropped first; "
        "fer-tl clean lists and removes them",
        limits=(0.0, 1e6),
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = option(
        "float32",
        "arithmetic of the layers; auto: float32 or mixed_bfloat16, whichever is faster for this model and processor, "
        "which takes a second or two to try",
    )
    strategy: Literal["auto", "cpu", "gpu", "mirrored", "multiworker", "tpu"] = option(
        "auto", "devices; auto: a TPU, else all GPUs, else the CPU"
    )
    workers: tuple[str, ...] | str | None = option(
        None, "multiworker: host:port of every worker, the chief first, the same on all; default: those of TF_CONFIG"
    )
    cluster_secret: str | None = option(
        None, "multiworker over a network: a file with a secret that all workers share and only you can read"
    )
    worker: int | None = option(
        None, "multiworker: which of --workers this is, from 0; default: found by its host", limits=(0, 100_000)
    )
    input: Literal["auto", "resident", "stream"] = option(
        "auto",
        "images: resident in the memory of the device, or streamed from the records; auto: resident if they fit",
    )
    fold: int | None = option(
        None, "cv: train this fold only, from 0; fer-tl collect joins the folds of several runs", limits=(0, 99_999)
    )
    jobs: int | None = option(
        None,
        "cv, sweep and --seeds: folds or runs that are trained at the same time, each by a process with its share of "
        "cores or GPUs; the results are those of one after the other; default: 1, and with ray or slurm all",
        limits=(1, 4096),
    )
    executor: Literal["local", "ray", "slurm"] = option(
        "local", "where --jobs are done: by processes of this machine, as tasks of a Ray cluster, or as jobs of Slurm"
    )
    executor_options: tuple[str, ...] | str | None = option(
        None,
        "ray: of a task, such as num_cpus=4,num_gpus=1, and address=HOST:PORT of the cluster; slurm: parameters of "
        "submitit, such as timeout_min=600,gpus_per_node=1,slurm_partition=gpu",
    )

    track: tuple[str, ...] | str = option(
        "tensorboard",
        "where settings, losses by epoch and results go besides the run's folder: tensorboard, mlflow, wandb, several, "
        "separated by commas, or none; mlflow and wandb stay on this machine unless their own variables name a server",
    )

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of ``TRACKERS``, each once."""
        return tuple(dict.fromkeys(name for name in listed(self.track) if name not in ("", "none")))

    @property
    def drawn_by(self) -> int:
        """The seed by which folds are drawn."""
        return self.seed if self.fold_seed is None else self.fold_seed

    @property
    def in_units(self) -> bool:
        """Whether its folds are trained by processes of their own."""
        return self.executor != "local" or (self.jobs is not None and self.jobs > 1)

    @property
    def asks_for_units(self) -> str:
        """The options that make it so, for messages."""
        executor = f"--executor {self.executor}" if self.executor != "local" else ""
        return f"{executor} --jobs {self.jobs}".strip() if self.jobs else executor

    @property
    def watches(self) -> bool:
        """Whether anything during training decides by a measured loss, so that images must be set aside for it."""
        return bool(self.early_stopping) or self.schedule.kind == "plateau"
