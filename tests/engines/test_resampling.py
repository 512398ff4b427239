"""A TPU's way to resample gives what the gather gives, for every map that augmentation draws."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fer_tl.augment.geometry import IDENTITY, compose, draw_transforms, scaling
from fer_tl.augment.resampling import by_gathers, by_products, resample
from fer_tl.core.config import Augment
from fer_tl.core.randomness import example_keys

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX in a process of TensorFlow warns at every fork"),
]
KEYS = example_keys(np.array([f"{i}.png" for i in range(40)]))
HARD = Augment(rotation=40, shear=20, zoom=0.4, shift=0.3, flip=True, crop=0.5)


def noise(*shape: int) -> np.ndarray:
    """Neighbours differ most: an error of a place shows in full."""
    return np.random.default_rng(1).integers(0, 256, (len(KEYS), *shape), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "side"), [((24, 32, 1), (24, 32)), ((24, 32, 3), (40, 28)), ((48, 48, 1), (96, 96)), ((9, 7, 1), (5, 3))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_products_give_what_gathers_give(shape: tuple[int, ...], side: tuple[int, int], dtype: type) -> None:
    images = noise(*shape).astype(dtype)
    transforms = compose(draw_transforms(HARD, KEYS, shape[:2], 0, 0, 1), scaling(shape[:2], side))
    given = np.asarray(by_gathers(images, transforms, side))
    made = np.asarray(by_products(keras.ops.convert_to_tensor(images), transforms, side))
    assert made.shape == (len(KEYS), *side, shape[2]) and made.dtype == np.float32
    np.testing.assert_allclose(made, given, atol=1e-2)


def test_products_give_an_unmoved_image_back() -> None:
    images = noise(24, 32, 1)
    made = by_products(keras.ops.convert_to_tensor(images), np.tile(np.float32(IDENTITY), (len(KEYS), 1)), (24, 32))
    np.testing.assert_allclose(np.asarray(made), images, atol=1e-3)


def test_jax_multiplies_for_a_tpu_and_gathers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the program that is made for each, before any compiler has seen it."""
    import jax

    monkeypatch.setattr(
        "fer_tl.augment.resampling.by_gathers", lambda images, transforms, side: images.astype("float32")
    )
    images = jax.ShapeDtypeStruct((4, 24, 32, 1), "uint8")
    transforms = jax.ShapeDtypeStruct((4, 6), "float32")
    made = {
        platform: jax.jit(resample).trace(images, transforms).lower(lowering_platforms=(platform,)).as_text()
        for platform in ("tpu", "cpu", "cuda")
    }
    assert {platform: "dot_general" in text for platform, text in made.items()} == {
        "tpu": True, "cpu": False, "cuda": False
    }  # fmt: skip
