"""TrivialAugment and RandAugment as amounts of what the other augmentation consists of: an affine map, light, blur.

What is drawn here is turned into maps by ``geometry`` and into light by ``photometry``, so a policy costs the step no
more than its parts do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fer_tl.core.randomness import uniform

if TYPE_CHECKING:
    from fer_tl.core.config import Augment

# The largest amount of each operation. Rotation (degrees), shears and the factor 1.9 are those of the "RA" operations
# in Müller & Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021, and so are shifts
# of 10 pixels, here of 48 (there of 32, which takes the mouth out of a face that fills its image). Brightness is
# multiplied there by 0.1 to 1.9; a shift that far would leave nothing of a face but black or white. Gamma, blur
# (pixels) and noise are ours. All were looked at, on drawn faces and on photos of FER-2013.
LARGEST = {
    "rotation": 30.0,
    "shear-x": 0.3,
    "shear-y": 0.3,
    "shift-x": 10 / 48,
    "shift-y": 10 / 48,
    "brightness": 0.25,
    "contrast": float(np.log(1.9)),
    "gamma": float(np.log(1.9)),
    "blur": 1.0,
    "noise": 0.08,
}
UNSIGNED = ("blur", "noise")
SLOTS = {"none": 0, "trivial": 1, "rand": 2}

# RandAugment's usual magnitude is 9 of 30: Cubuk et al., "RandAugment: practical automated data augmentation with a
# reduced search space", CVPR Workshops 2020, section 4 (ImageNet, N = 2 operations).
USUAL_STRENGTH = 0.3


def draw_operations(augment: Augment, keys: np.ndarray, *stream: object) -> list[dict[str, np.ndarray]]:
    """Draw the operations of a policy for every example: each is as likely as any other, and as none at all.

    Args:
        augment: ``policy``; ``rand`` takes two operations at ``strength``, ``trivial`` one at a strength drawn evenly
            from 0 to 1.
        keys: uint64 ``[N]``.
        stream: (seed, fold, epoch).

    Returns:
        For each of the 0, 1 or 2 operations that are done one after the other, by name of ``LARGEST``: float64
        ``[N]``, its amount with a random sign, 0 where it is not the one.
    """
    drawn = []
    for slot in range(SLOTS[augment.policy]):
        chosen = np.floor(uniform(keys, f"operation-{slot}", *stream) * (len(LARGEST) + 1))  # [N]
        if augment.policy == "trivial":
            strength = uniform(keys, f"strength-{slot}", *stream)  # [N]
        else:
            strength = np.full(len(keys), USUAL_STRENGTH if augment.strength is None else augment.strength)
        signed = np.where(uniform(keys, f"sign-{slot}", *stream) < 0.5, -strength, strength)
        drawn.append(
            {
                name: np.where(chosen == place, largest * (strength if name in UNSIGNED else signed), 0.0)
                for place, (name, largest) in enumerate(LARGEST.items())
            }
        )
    return drawn
