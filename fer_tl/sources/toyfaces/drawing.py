"""Drawn faces: seven expressions as parametric line-and-shape drawings, made by code with NumPy alone.

These are drawings, not photographs: a stand-in with known geometry for demos and tests, no substitute for real data.
Each expression is a row of ``EXPRESSIONS``; every face mixes that row with the neutral one by its own intensity, adds
personal variation, and is drawn from signed distance fields under a random pose, lighting, blur and sensor noise.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fer_tl.core.classes import CLASS_NAMES
from fer_tl.core.randomness import INCREMENT, mix

CLASS_SHARES = (0.14, 0.08, 0.14, 0.21, 0.15, 0.12, 0.16)  # the order of frequency in FER-2013, less extreme
IMAGE_SIZE = 48

Array = npt.NDArray[np.floating[Any]]  # float32 throughout
Scalar = Array | float | np.float32  # one number, or one a face [N, 1, 1]
Parameters = dict[str, Array]  # name -> [N, 1, 1], ready to broadcast against the pixel grid


class Expression(NamedTuple):
    """How one expression moves the face, in face units (half the head's height is 1); upwards is positive."""

    brow_lift: float  # whole brow (FACS AU2 up, AU4 down)
    brow_inner: float  # inner end against the outer end (AU1)
    brow_pinch: float  # inner ends pulled together (AU4)
    furrow: float  # strength 0..1 of the upright lines between the brows (AU4)
    lid_upper: float  # change of the upper lid (AU5 up, AU7 down)
    lid_lower: float  # lower lid pushed up (AU6, AU7)
    wrinkle: float  # strength 0..1 of the lines over the nose (AU9)
    fold: float  # strength 0..1 of the lines from nose to mouth (AU6, AU10)
    mouth_width: float  # change of the mouth's half width (AU20 wide, AU18 narrow)
    corner: float  # mouth corners (AU12 up, AU15 down)
    lip_raise: float  # middle of the upper lip (AU10)
    sneer: float  # upper lip raised on one side only (AU10)
    jaw: float  # half height of the open mouth (AU25, AU26, AU27)
    teeth: float  # share of the opening that shows teeth, 0..1


# fmt: off
#                           lift inner pinch furrw lidup lidlo wrink  fold width cornr raise sneer   jaw teeth
EXPRESSIONS = {
    "angry":    Expression(-0.13,-0.20, 0.09, 0.90,-0.02, 0.04, 0.15, 0.20,-0.05,-0.06, 0.00, 0.00, 0.02, 0.50),
    "disgust":  Expression(-0.07,-0.06, 0.04, 0.30,-0.06, 0.05, 1.00, 0.90,-0.02,-0.05, 0.12, 0.10, 0.04, 0.60),
    "fear":     Expression( 0.11, 0.15, 0.06, 0.35, 0.08,-0.02, 0.00, 0.10, 0.09,-0.05, 0.00, 0.00, 0.10, 0.45),
    "happy":    Expression( 0.02, 0.00, 0.00, 0.00,-0.03, 0.06, 0.05, 0.80, 0.12, 0.17, 0.00, 0.00, 0.06, 0.90),
    "sad":      Expression( 0.00, 0.20, 0.04, 0.25,-0.05, 0.01, 0.00, 0.25,-0.03,-0.14, 0.00, 0.00, 0.00, 0.00),
    "surprise": Expression( 0.17, 0.03,-0.02, 0.00, 0.08,-0.02, 0.00, 0.00,-0.12,-0.01, 0.00, 0.00, 0.19, 0.10),
    "neutral":  Expression( 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00),
}
# Personal variation: each face adds a uniform draw within plus or minus this, so that classes touch at low intensity.
SPREAD = Expression(        0.05, 0.06, 0.03, 0.20, 0.03, 0.02, 0.15, 0.25, 0.05, 0.05, 0.02, 0.03, 0.03, 0.30)

# Uniform ranges of all else: tones and noise in 0..1, lengths in face units, roll and light_angle in radians,
# scale in pixels a face unit, shifts in pixels.
NUISANCES: dict[str, tuple[float, float]] = {
    "intensity": (0.40, 1.15),
    # identity
    "tone": (0.40, 0.85), "hair": (0.04, 0.60), "hairline": (-0.85, -0.60), "head_width": (0.70, 0.86),
    "eye_gap": (0.32, 0.40), "eye_width": (0.16, 0.21), "eye_height": (0.07, 0.10), "eye_level": (-0.20, -0.10),
    "iris": (0.07, 0.095), "iris_tone": (0.03, 0.30), "gaze_x": (-0.06, 0.06), "gaze_y": (-0.02, 0.03),
    "brow_level": (0.24, 0.30), "brow_weight": (0.025, 0.060), "brow_tone": (0.03, 0.25),
    "nose_length": (0.30, 0.40), "nose_width": (0.09, 0.14), "mouth_level": (0.50, 0.60), "mouth_size": (0.26, 0.33),
    "lip_weight": (0.025, 0.045), "lip_tone": (0.10, 0.40), "side": (-1.0, 1.0), "glasses": (0.0, 1.0),
    # pose
    "roll": (-0.35, 0.35), "scale": (18.5, 24.0), "shift_x": (-3.0, 3.0), "shift_y": (-3.0, 3.0),
    "shear": (-0.10, 0.10), "yaw": (-0.45, 0.45),
    # camera
    "background": (0.05, 0.95), "slope": (-0.30, 0.30), "light_angle": (0.0, 6.2832), "light": (0.0, 0.45),
    "contrast": (0.55, 1.05), "brightness": (-0.12, 0.12), "blur": (0.0, 0.22), "noise": (0.01, 0.06),
}
# fmt: on
# What a person keeps from picture to picture, besides how far their features go with each expression (SPREAD).
IDENTITY = tuple(NUISANCES)[tuple(NUISANCES).index("tone") : tuple(NUISANCES).index("roll")]
GLASSES_ABOVE = 0.88  # the share of faces without glasses
CHUNK = 128  # faces drawn at a time: about 1.2 MB an intermediate array


def _random_bits(seed: int, index: npt.NDArray[np.uint64], count: int, stream: int) -> npt.NDArray[np.uint64]:
    """uint64 [N, count], row n a function of (seed, index[n], stream) only."""
    key = mix(np.array([(seed * 0x10001 + stream) % 2**64], np.uint64))
    rows = mix(mix(index * INCREMENT + key) + key)
    return mix(rows[:, None] + np.arange(1, count + 1, dtype=np.uint64) * INCREMENT)


def _labels(seed: int, index: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """int64 [N] in 0..6. A Weyl sequence, so that any run of consecutive faces has the shares of ``CLASS_SHARES``."""
    start = mix(np.array([seed % 2**64], np.uint64))
    position = (index * INCREMENT + start >> np.uint64(11)) * 2.0**-53
    return np.searchsorted(np.cumsum(CLASS_SHARES)[:-1], position, side="right").astype(np.int64)


def _parameters(
    seed: int, index: npt.NDArray[np.uint64], labels: npt.NDArray[np.int64], persons: npt.NDArray[np.uint64] | None
) -> Parameters:
    """Every number a drawing needs, by name, float32 [N, 1, 1]: the nuisances and the fields of ``Expression``."""
    bits = _random_bits(seed, index, len(NUISANCES) + len(SPREAD), stream=1)
    if persons is not None:
        of_person = _random_bits(seed, persons, bits.shape[1], stream=3)
        names = [*NUISANCES, *(None for _ in SPREAD)]
        kept = np.array([name is None or name in IDENTITY for name in names])
        bits = np.where(kept, of_person, bits)
    unit = ((bits >> np.uint64(40)) * 2.0**-24).astype(np.float32)[:, :, None, None]
    p = {
        name: np.float32(low) + np.float32(high - low) * unit[:, k]
        for k, (name, (low, high)) in enumerate(NUISANCES.items())
    }
    table = np.array([EXPRESSIONS[name] for name in CLASS_NAMES], np.float32)[labels]
    for k, name in enumerate(Expression._fields):
        personal = (2 * unit[:, len(NUISANCES) + k] - 1) * np.float32(SPREAD[k])
        p[name] = table[:, k, None, None] * p["intensity"] + personal
    for name in ("furrow", "wrinkle", "fold", "teeth"):
        p[name] = np.clip(p[name], 0, 1)
    p["jaw"] = np.maximum(p["jaw"], 0)
    p["side"] = np.sign(p["side"])
    return p


def _face_grid(p: Parameters) -> tuple[Array, Array]:
    """Upright face coordinates (x right, y down, origin mid-head, 1 = half the head's height), two [N, 48, 48]."""
    centre = np.arange(IMAGE_SIZE, dtype=np.float32) - np.float32((IMAGE_SIZE - 1) / 2)
    dx = (centre[None, None, :] - p["shift_x"]) / p["scale"]
    dy = (centre[None, :, None] - p["shift_y"]) / p["scale"]
    cos, sin = np.cos(p["roll"]), np.sin(p["roll"])
    x, y = cos * dx + sin * dy, cos * dy - sin * dx
    return x + p["shear"] * y, y


def _ellipse(x: Array, y: Array, rx: Scalar, ry: Scalar) -> Array:
    """Approximate signed distance to an ellipse at the origin, negative inside: f(f - 1) / |grad f| for f = |p / r|."""
    f = np.hypot(x / rx, y / ry)
    slope = np.hypot(x / (rx * rx), y / (ry * ry))
    return f * (f - 1) / np.maximum(slope, np.float32(1e-6))


def _stroke(x: Array, y: Array, ends: tuple[Scalar, Scalar], curve: tuple[Scalar, ...], weight: Scalar) -> Array:
    """Signed distance to a pen stroke of half width ``weight`` along y = a + b x + c x^2 between the ``ends`` in x."""
    (left, right), (a, b, c) = ends, curve
    on = np.clip(x, left, right)
    rise = (y - (a + on * (b + c * on))) / np.sqrt(1 + (b + 2 * c * on) ** 2)
    return np.hypot(x - on, rise) - weight


def _lens(x: Array, y: Array, half: Array, top: Array, bottom: Array) -> Array:
    """Signed distance, to first order, to the region between two curves ``top`` and ``bottom`` over |x| < ``half``."""
    return np.maximum(np.maximum(top - y, y - bottom), np.abs(x) - half)


def _paint(canvas: Array, p: Parameters, distance: Array, tone: Scalar, strength: Scalar = 1.0) -> Array:
    """The canvas [N, 48, 48] in 0..1 with one shape laid over it; its edge is one pixel of smoothstep."""
    t = np.clip(np.float32(0.5) - distance * p["scale"] * np.float32(0.75), 0, 1)
    return canvas + (tone - canvas) * (t * t * (3 - 2 * t) * strength)


def _draw_head(p: Parameters, x: Array, y: Array) -> Array:
    """Background, hair and the bare head, [N, 48, 48] in 0..1."""
    canvas: Array = p["background"] + p["slope"] * y
    canvas = _paint(canvas, p, _ellipse(x, y + 0.10, p["head_width"] + 0.10, np.float32(1.04)), p["hair"])
    head = _ellipse(x, y, p["head_width"], np.float32(1.0))
    canvas = _paint(canvas, p, head, p["tone"])
    fringe = np.maximum(head, y - p["hairline"] - 0.25 * x * x)
    return _paint(canvas, p, fringe, p["hair"])


def _draw_eyes(canvas: Array, p: Parameters, x: Array, y: Array) -> Array:
    """Both eyes and brows; the drawing of one side is mirrored, the gaze is not."""
    side = np.where(x < 0, np.float32(-1), np.float32(1))
    u, v = np.abs(x) - p["eye_gap"], y - p["eye_level"]
    arch = 1 - np.minimum((u / p["eye_width"]) ** 2, 1)
    top = -np.maximum(p["eye_height"] + p["lid_upper"], 0.02) * arch
    bottom = np.maximum(0.75 * p["eye_height"] - p["lid_lower"], 0.01) * arch
    eye = _lens(u, v, p["eye_width"], top, bottom)
    canvas = _paint(canvas, p, eye, np.minimum(p["tone"] + 0.30, 1.0))
    iris = _ellipse(u - side * p["gaze_x"], v - p["gaze_y"], p["iris"], p["iris"])
    canvas = _paint(canvas, p, np.maximum(iris, eye), p["iris_tone"])
    lid = np.where(np.abs(u) < p["eye_width"], np.abs(v - top), np.hypot(np.abs(u) - p["eye_width"], v)) - 0.02
    canvas = _paint(canvas, p, lid, p["iris_tone"], 0.8)
    lower = np.where(np.abs(u) < p["eye_width"], np.abs(v - bottom), np.float32(1)) - 0.01
    canvas = _paint(canvas, p, lower, p["iris_tone"], 0.4)

    level = p["eye_level"] - p["brow_level"] - p["brow_lift"]
    slope = p["brow_inner"] / 0.40
    left, right = -0.20 - p["brow_pinch"], np.float32(0.20)
    brow = _stroke(u, y, (left, right), (level, slope, np.float32(0.9)), p["brow_weight"])
    return _paint(canvas, p, brow, p["brow_tone"], 0.9)


def _draw_lines(canvas: Array, p: Parameters, x: Array, y: Array) -> Array:
    """The nose, and the lines that come with it: brow furrow, nose wrinkles, folds from nose to mouth."""
    tip = p["eye_level"] + p["nose_length"] - 0.05 * p["wrinkle"]
    shade = p["tone"] * 0.55
    bridge = _stroke(y, x, (p["eye_level"] + 0.05, tip), (p["nose_width"] * 0.55, 0.0, 0.0), 0.012)
    canvas = _paint(canvas, p, bridge, shade, 0.35)
    nose = _stroke(x, y, (-p["nose_width"], p["nose_width"]), (tip, 0.0, -2.5), 0.022)
    canvas = _paint(canvas, p, nose, shade, 0.9)
    across = np.abs(x)
    furrow = _stroke(y, across, (p["eye_level"] - 0.30, p["eye_level"] - 0.10), (0.06, 0.0, 0.0), 0.02)
    canvas = _paint(canvas, p, furrow, shade, 0.8 * p["furrow"])
    for step in (0.02, 0.11):
        wrinkle = _stroke(x, y, (-0.11, 0.11), (p["eye_level"] + step, 0.0, 4.0), 0.02)
        canvas = _paint(canvas, p, wrinkle, shade, 0.8 * p["wrinkle"])
    start, end = p["nose_width"] + 0.04, p["mouth_size"] + p["mouth_width"] + 0.07
    lean = (p["mouth_level"] - 0.04 - tip) / (end - start)
    fold = _stroke(across, y, (start, end), (tip - lean * start, lean, 0.0), 0.016)
    return _paint(canvas, p, fold, shade, 0.7 * p["fold"])


def _draw_mouth(canvas: Array, p: Parameters, x: Array, y: Array) -> Array:
    """Lips around an ellipse bent along the line of the mouth; inside it the dark opening and the upper teeth."""
    half = np.maximum(p["mouth_size"] + p["mouth_width"], np.float32(0.13))
    across = np.clip(x / half, -1, 1)
    line = p["mouth_level"] + 0.3 * p["corner"] + 0.4 * p["jaw"] - p["corner"] * across * across
    raised = p["lip_raise"] + p["sneer"] * (1 + p["side"] * across)
    height = np.maximum(p["jaw"] + raised / 2, np.float32(0.012))
    down = y - (line - raised / 2)
    # The ellipse's distance is poor beyond the corners of a closed mouth, hence the second bound.
    edge = np.maximum(_ellipse(x, down, half, height), np.abs(x) - half)
    canvas = _paint(canvas, p, edge, np.float32(0.06))
    teeth = np.maximum(edge + 0.5 * p["lip_weight"], down + height * (1 - 1.4 * p["teeth"]))
    canvas = _paint(canvas, p, teeth, np.float32(0.95), np.minimum(3 * p["teeth"], 1))
    return _paint(canvas, p, np.abs(edge) - p["lip_weight"], p["tone"] * p["lip_tone"])


def _draw_glasses(canvas: Array, p: Parameters, x: Array, y: Array) -> Array:
    """Dark round frames on the few faces that wear them."""
    rim = np.abs(_ellipse(np.abs(x) - p["eye_gap"], y - p["eye_level"], 0.27, 0.23)) - 0.02
    worn = (p["glasses"] > GLASSES_ABOVE).astype(np.float32)
    return _paint(canvas, p, rim, np.float32(0.08), worn)


def _photograph(canvas: Array, p: Parameters, grain: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Light from one side, contrast, blur and sensor noise: [N, 48, 48] in 0..1 to uint8 of the same shape."""
    ramp = np.linspace(-1, 1, IMAGE_SIZE, dtype=np.float32)
    light = np.cos(p["light_angle"]) * ramp[None, None, :] + np.sin(p["light_angle"]) * ramp[None, :, None]
    canvas = canvas * (1 + p["light"] * light)
    canvas = 0.5 + (canvas - 0.5) * p["contrast"] + p["brightness"]
    for axis in (1, 2):
        pad = [(0, 0), (0, 0), (0, 0)]
        pad[axis] = (1, 1)
        wide = np.pad(canvas, pad, mode="edge")
        near = np.take(wide, range(IMAGE_SIZE), axis) + np.take(wide, range(2, IMAGE_SIZE + 2), axis)
        canvas = canvas * (1 - 2 * p["blur"]) + near * p["blur"]
    # The sum of four 16-bit uniforms is close to a normal draw of standard deviation sqrt(4 / 12).
    fields = sum(((grain >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float32) for shift in (0, 16, 32, 48))
    noise = (fields / np.float32(65536) - 2) * np.float32(3**0.5)
    canvas = canvas + p["noise"] * noise.reshape(canvas.shape)
    return np.clip(np.rint(canvas * 255), 0, 255).astype(np.uint8)


def _draw_chunk(
    seed: int, index: npt.NDArray[np.uint64], persons: npt.NDArray[np.uint64] | None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Faces of the global indices ``index`` [N]: uint8 [N, 48, 48] and int64 [N]."""
    labels = _labels(seed, index)
    p = _parameters(seed, index, labels, persons)
    x, y = _face_grid(p)
    canvas = _draw_head(p, x, y)
    # A turned head moves the features towards one side and squeezes them there.
    x = (x - 0.35 * p["yaw"]) * (1 + 0.5 * p["yaw"] * x)
    for draw in (_draw_lines, _draw_eyes, _draw_mouth, _draw_glasses):
        canvas = draw(canvas, p, x, y)
    grain = _random_bits(seed, index, IMAGE_SIZE * IMAGE_SIZE, stream=2)
    return _photograph(canvas, p, grain), labels


def draw_faces(
    count: int, seed: int, first: int = 0, persons: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw faces ``first`` .. ``first + count - 1`` of the endless series that ``seed`` names.

    Args:
        count: of faces, 0 or more.
        seed: of the series.
        first: index of the first, 0 or more.
        persons: int [count], who each face is, 0 or more: faces of one person share ``IDENTITY`` and their personal
            variation, whatever their expression. None for faces all of whom are strangers.

    Returns:
        Images uint8 [count, 48, 48, 1] in 0..255 and labels int64 [count] in 0..6, indices into ``CLASS_NAMES``. A face
        depends on (seed, its index, its person) alone, never on the faces drawn with it; its label and its pose not on
        the person.
    """
    if count < 0 or first < 0:
        raise ValueError(f"count and first must not be negative, got count={count}, first={first}")
    if persons is not None and (persons.shape != (count,) or (count and persons.min() < 0)):
        raise ValueError(f"persons must be {count} numbers that are not negative, got shape {persons.shape}")
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 1), np.uint8)
    labels = np.empty(count, np.int64)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        index = np.arange(first + start, first + stop, dtype=np.uint64)
        who = None if persons is None else persons[start:stop].astype(np.uint64)
        images[start:stop, :, :, 0], labels[start:stop] = _draw_chunk(seed, index, who)
    return images, labels
