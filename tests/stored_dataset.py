"""Built datasets written by hand: records without TensorFlow, so that a test needs a few milliseconds for one."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from fer_tl.core.checksums import checksums
from fer_tl.data.building.grouping import hash_pixels
from fer_tl.data.examples import Example, write_examples
from fer_tl.data.fingerprints import Stamp, content_hash, split_fingerprints
from fer_tl.data.manifest import Manifest, write_manifest
from fer_tl.faces.recipe import FaceRecipe
from fer_tl.sources.images import encode_image


@dataclass(frozen=True)
class Stored:
    """The examples of a split: images uint8 ``[N, H, W, C]``, labels int ``[N]``, ids and groups text ``[N]``, soft
    targets float32 ``[N, K]`` or None."""

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray | None = None


def store_dataset(
    data_dir: Path,
    name: str,
    class_names: Sequence[str],
    splits: dict[str, Stored],
    shards: int = 1,
    encoding: str = "png",
    version: str = "1.1.0",
    **changes: Any,
) -> Path:
    """What a build would leave of these examples, in ``data_dir / name / version``; returns that folder.

    Args:
        data_dir: holds the datasets.
        name: "fer2013" or "folder/mine".
        class_names: K of them.
        splits: by name.
        shards: files of each split; one keeps the examples in their order.
        encoding: "png" or "jpeg".
        version: of the folder.
        changes: values of the manifest that are to be others.
    """
    directory = data_dir / name / version
    directory.mkdir(parents=True, exist_ok=True)
    builder, _, config = name.partition("/")
    stamps, examples, counts = [], [], {}
    for split, stored in splits.items():
        rows = np.array_split(np.arange(len(stored.ids)), shards)
        for shard, part in enumerate(rows):
            path = directory / f"{builder}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
            path.write_bytes(b"".join(frame(serialize(stored, row, encoding)) for row in part))
        for row, (identity, group) in enumerate(zip(stored.ids.tolist(), stored.groups.tolist(), strict=True)):
            label, image = int(stored.labels[row]), stored.images[row]
            votes = b"" if stored.targets is None else stored.targets[row].tobytes()
            stamps.append(Stamp(split, identity, group, label, hash_pixels(image), votes))
            examples.append(Example(identity, split, class_names[label], group))
        found = np.bincount(stored.labels, minlength=len(class_names)).tolist()
        counts[split] = dict(zip(class_names, found, strict=True))
    (directory / "dataset_info.json").write_text('{"splits": []}\n')
    (directory / "features.json").write_text('{"featuresDict": {}}\n')
    write_examples(examples, directory)
    names, shape = tuple(class_names), images_shape(splits)
    values: dict[str, Any] = {
        "name": builder,
        "config": config,
        "version": version,
        "source": {"kind": "drawn", "name": "drawn", "sha256": "0" * 64, "encoding": encoding},
        "class_names": names,
        "image_shape": shape,
        "counts": counts,
        "shards": dict.fromkeys(splits, shards),
        "fingerprints": split_fingerprints(stamps, names, shape),
        "content": content_hash(stamps, names),
        "checksums": checksums(sorted(directory.iterdir())),
        "faces": FaceRecipe().to_dict(),
    }
    write_manifest(Manifest(**values | changes), directory)
    return directory


def images_shape(splits: dict[str, Stored]) -> tuple[int, int, int]:
    """(H, W, C) of the first split."""
    height, width, channels = next(iter(splits.values())).images.shape[1:]
    return height, width, channels


def frame(data: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def masked(data: bytes) -> bytes:
    """The checksum of a TFRecord file, as the file has it."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def serialize(stored: Stored, row: int, encoding: str = "png") -> bytes:
    """One example as a ``tf.train.Example``, its numbers packed as protobuf does it."""
    features = {
        "group": (1, [str(stored.groups[row]).encode()]),
        "id": (1, [str(stored.ids[row]).encode()]),
        "image": (1, [encode_image(stored.images[row], encoding)]),
        "label": (3, [varint(int(stored.labels[row]))]),
    }
    if stored.targets is not None:
        features["targets"] = (2, [stored.targets[row].astype("<f4").tobytes()])
    entries = (
        field(1, field(1, name.encode()) + field(2, field(kind, b"".join(field(1, value) for value in values))))
        for name, (kind, values) in features.items()
    )
    return field(1, b"".join(entries))


def field(number: int, value: bytes) -> bytes:
    """A field of a protobuf message whose value has a length."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(number: int) -> bytes:
    """An integer as protobuf writes it; negative ones in ten bytes."""
    number &= (1 << 64) - 1
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes(written) + bytes([number])
