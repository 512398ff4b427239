"""Photos a second that the ExpW source reads, decodes and cuts, with one thread and with one for each core.

usage: python benchmarks/expw_rate.py [--source EXPW] [--image-size 96] [--photos 400] [--threads N]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from fer_tl.sources.expw.source import open_expw

HEIGHT, WIDTH = 516, 775  # 0.4 megapixels


def main() -> None:
    """Print a row for each number of threads; a rate per core is photos by the seconds of CPU they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="ExpW as you have it; drawn photos of 0.4 megapixels if not given")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--photos", type=int, default=400, help="how many to draw")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.source or draw_photos(Path(folder), arguments.photos)
        print("| threads | photos | faces | look at the list and headers, s | photos/s | photos/s per core of CPU |")
        print("|---:|---:|---:|---:|---:|---:|")
        for threads in sorted({1, arguments.threads}):
            print(measure(source, arguments.image_size, threads), flush=True)


def measure(path: Path, image_size: int, threads: int) -> str:
    """Reads a source once and gives a row of the table."""
    with closing(open_expw(path, image_size, workers=threads)) as source:
        source.on_error = "skip"
        began = time.perf_counter()
        source.total()
        surveyed, used = time.perf_counter(), time.process_time()
        groups = [record.group for record in source.records()]
        seconds, cpu = time.perf_counter() - surveyed, time.process_time() - used
    photos = len(set(groups))
    cells = (threads, f"{photos:,}", f"{len(groups):,}", f"{surveyed - began:.2f}")
    return f"| {' | '.join(map(str, cells))} | {photos / seconds:,.0f} | {photos / cpu:,.0f} |"


def draw_photos(folder: Path, count: int) -> Path:
    """JPEG photos with a face box in each, and a second one in every third, as in ExpW.

    Amplitudes fall with the frequency, as in photographs, so that a file is about as large as one: 2 bits a pixel.
    """
    random = np.random.default_rng(0)
    rows, columns = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None, :]
    falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / WIDTH) ** 1.4  # [H, W/2+1]
    lines = []
    for number in range(count):
        noise = np.fft.rfft2(random.normal(size=(3, HEIGHT, WIDTH))) * falloff
        picture = np.fft.irfft2(noise, s=(HEIGHT, WIDTH))  # [3, H, W]
        picture = 128 + 50 * picture / picture.std()
        picture[1:] = 0.8 * picture[:1] + 0.2 * picture[1:]  # colours go together
        pixels = picture.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"photo_{number}.jpg", quality=90)
        for face in range(2 if number % 3 == 0 else 1):
            side = int(random.choice([48, 96, 161]))  # the 10th, 50th and 75th percentile in ExpW
            top, left = int(random.integers(HEIGHT - side)), int(random.integers(WIDTH - side))
            lines.append(f"photo_{number}.jpg {face} {top} {left} {left + side} {top + side} 50 {number % 7}\n")
    (folder / "label.lst").write_text("".join(lines))
    return folder


if __name__ == "__main__":
    main()
