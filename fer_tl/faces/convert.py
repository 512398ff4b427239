"""An opened picture as grey or RGB of 8 bits: turned, on its ground, its bits reduced."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from fer_tl.core.errors import UserError
from fer_tl.faces.decoder_warnings import no_warnings
from fer_tl.faces.value_range import is_reduced, stored_range

_ORIENTATION = 0x0112
_FLOAT_TOP = 1.05  # resampling overshoots 1 by a little
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")

GROUND = 128
"""Grey level that shows through where a picture is transparent."""


def is_turned(image: Image.Image) -> bool:
    """Whether an EXIF tag asks for a turn; one that cannot be read asks for none."""
    try:
        with no_warnings():
            return bool(image.getexif().get(_ORIENTATION, 1) != 1)
    except Exception:  # Pillow's plugins raise nearly anything on damaged data
        return False


def turn_upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) if is_turned(image) else image
    except Exception:  # as above
        return image


def to_mode(image: Image.Image, channels: int, where: str, bits: int | None = None) -> Image.Image:
    """An upright picture of Pillow as "L" or "RGB", of 8 bits a channel, without transparency; see
    ``convert_image``."""
    if bits is not None and bits < 16 and is_reduced(image):
        raise UserError(
            f"{where} has 16 bits for each of its channels, of which the upper 8 are read: bits that are said to be "
            f"unused ({16 - bits}) cannot be made up for; save it with 8 bits a channel"
        )
    if image.mode in _DEEP:
        image = _eight_bits(image, where, bits)
    if image.mode == "La":
        image = image.convert("LA")  # the only mode to which Pillow brings it
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = _on_ground(image)
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _on_ground(image: Image.Image) -> Image.Image:
    visible = image.convert("RGBA")
    if visible.getchannel("A").getextrema() == (255, 255):
        return visible.convert("RGB")
    ground = Image.new("RGBA", image.size, (GROUND, GROUND, GROUND, 255))
    return Image.alpha_composite(ground, visible).convert("RGB")


def _eight_bits(image: Image.Image, where: str, bits: int | None) -> Image.Image:
    """A grey picture of 16 or 32 bits, or of floats, in 8."""
    values = np.asarray(image)
    hidden = image.info.get("transparency")
    clear = values == hidden if isinstance(hidden, int) else None  # the grey level that a PNG calls transparent
    said = stored_range(image, values)
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{where} has values that are not finite: replace or remove it")
    high = said.high if said.high is not None else _white(image.mode, values, where, bits)
    levels = np.clip((values - said.low) * (255.0 / (high - said.low)), 0, 255).round()
    if said.inverted:
        levels = 255 - levels
    if clear is not None:
        levels[clear] = GROUND
    return Image.fromarray(levels.astype(np.uint8))


def _white(mode: str, values: np.ndarray, where: str, bits: int | None) -> float:
    """The value that means white where the file does not say it; 0 means black."""
    if mode == "F":
        low, high = values.min(), values.max()
        if low < 0 or high > 255:
            raise UserError(
                f"{where} holds numbers from {low:.4g} to {high:.4g}, whose range it does not say: save it with 8 or "
                "16 bits, or numbers from 0 to 1"
            )
        return 1.0 if high <= _FLOAT_TOP else 255.0
    if mode == "I" and bits is None:
        raise UserError(
            f"{where} holds integers with a sign or integers of 32 bits, whose range it does not say: save it with 8 "
            "or 16 bits"
        )
    return float(2 ** (bits or 16) - 1)


def pixels_of(image: np.ndarray, where: str) -> np.ndarray:
    """uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` of what was given."""
    pixels = np.asarray(image)
    grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8 or grey.ndim not in (2, 3) or 0 in grey.shape or grey.shape[2:] not in ((), (3,), (4,)):
        raise UserError(
            f"{where} is an array {list(pixels.shape)} of {pixels.dtype}: give uint8 [H, W], [H, W, 1], [H, W, 3] or "
            "[H, W, 4], pixels 0 to 255"
        )
    return grey
