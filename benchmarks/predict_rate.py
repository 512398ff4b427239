"""How fast `fer-tl predict` is: video against the package `fer`, crops against the model alone, memory, a cold start.

usage: python benchmarks/predict_rate.py RUN EXPW_ZIP FER_ZIP --fer-python VENV/bin/python [--write FILE]

VENV has `pip install fer==25.10 'setuptools<80' 'opencv-python-headless<5' tensorflow`. The videos are made with ffmpeg
from photos of ExpW, one face in each frame of 640 x 480.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from PIL import Image

SIZE = (640, 480)
SMALL = (320, 240)  # of the long video, so that it takes minutes
FRAMES, LONG_FRAMES, RATE = 300, 15_000, 25  # 12 s, and 10 minutes
REPEATS = 5

FER = """
import sys, time, cv2
from fer.fer import FER
detector, capture, frames, faces = FER(mtcnn=False), cv2.VideoCapture(sys.argv[1]), 0, 0
began = time.perf_counter()
while True:
    there, frame = capture.read()
    if not there:
        break
    faces += len(detector.detect_emotions(frame))
    frames += 1
print("result", frames / (time.perf_counter() - began), faces / frames)
"""
OURS = """
import sys
from fer_tl.commands.predict import predict
result = predict(sys.argv[1], sys.argv[2], save=sys.argv[3], out=sys.argv[4], say=lambda line: None)
print("result", result.pictures / result.seconds, result.faces / result.pictures)
"""
CROPS = """
import sys, time
import numpy as np
from pathlib import Path
from PIL import Image
from fer_tl.inference.predictor import load
from fer_tl.commands.predict import predict
run, folder, out = sys.argv[1:]
files = sorted(Path(folder).rglob("*.*"))
model = load(run)
side, _, channels = model.image_shape
pixels = np.stack([np.asarray(Image.open(file).convert("L" if channels == 1 else "RGB")) for file in files])
pixels = pixels.reshape(len(files), side, side, channels)
alone, whole = [], []
model.answer(pixels[:64])
for _ in range(5):
    began = time.perf_counter()
    model.answer(pixels)
    alone.append(len(files) / (time.perf_counter() - began))
    result = predict(run, folder, faces="crop", out=out, say=lambda line: None)
    whole.append(len(files) / result.seconds)
print("result", np.median(alone), np.median(whole))
"""


def main() -> None:
    """Measure what is asked for and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run on FER-2013, of MobileNetV2")
    parser.add_argument("expw", type=Path, help="zip of ExpW photos with label/label.lst")
    parser.add_argument("fer", type=Path, help="zip of FER-2013 images")
    parser.add_argument(
        "--fer-python", type=Path, help="Python of an environment with fer; without it, fer is left out"
    )
    parser.add_argument("--write", type=Path, help="also write the tables to this file")
    parser.add_argument("--parts", default="video,crops,cold,memory", help="what to measure")
    arguments = parser.parse_args()
    parts, lines = arguments.parts.split(","), ["# Speed and memory of `fer-tl predict`", "", *_machine(), ""]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faces = _faces(arguments.expw)
        if "video" in parts:
            video = _film(faces, folder / "faces.mp4", FRAMES)
            lines += _video(arguments.run, video, arguments.fer_python, folder)
        if "crops" in parts:
            lines += _crops(arguments.run, arguments.fer, folder)
        if "cold" in parts:
            Image.fromarray(faces[0]).save(folder / "photo.jpg")
            lines += _cold(arguments.run, folder / "photo.jpg", folder / "out-cold")
        if "memory" in parts:
            small = [np.asarray(Image.fromarray(face).resize(SMALL)) for face in faces]
            lines += _memory(arguments.run, _film(small, folder / "long.mp4", LONG_FRAMES), folder / "out-long")
    print("\n".join(lines))
    if arguments.write:
        arguments.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _machine() -> list[str]:
    import cv2
    import tensorflow as tf

    return [
        f"{psutil.cpu_count()} cores, Python {sys.version.split()[0]}, TensorFlow {tf.__version__}, OpenCV "
        f"{cv2.__version__}. Written by `benchmarks/predict_rate.py`."
    ]


def _faces(path: Path) -> list[np.ndarray]:
    """Photos with one labelled face, cut and scaled to 640 x 480 around it, uint8 ``[480, 640, 3]``."""
    width, height = SIZE
    found = []
    with zipfile.ZipFile(path) as archive:
        rows = [line.split(" ") for line in archive.read("label/label.lst").decode().splitlines()]
        names = [row[0] for row in rows]
        for name, _, top, left, right, bottom, _, _ in rows:
            with Image.open(io.BytesIO(archive.read(f"image/{name}"))) as opened:
                image = opened.convert("RGB")
            # The face is shown a third as high as the frame.
            scale = height / 3 / (int(bottom) - int(top))
            x, y = (int(left) + int(right)) / 2, (int(top) + int(bottom)) / 2
            box = (x - width / 2 / scale, y - height / 2 / scale, x + width / 2 / scale, y + height / 2 / scale)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= image.width and box[3] <= image.height
            if names.count(name) == 1 and inside:
                found.append(np.asarray(image.resize(SIZE, Image.Resampling.BICUBIC, box=box)))
            if len(found) == 30:
                return found
    raise SystemExit(f"{path} has fewer than 30 photos with one face and room around it")


def _film(photos: list[np.ndarray], path: Path, frames: int) -> Path:
    """Each photo for 10 frames, over and over."""
    height, width = photos[0].shape[:2]
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", str(RATE), "-i", "-", "-c:v", "mpeg4", "-q:v", "3", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for i in range(frames):
            process.stdin.write(photos[i // 10 % len(photos)].tobytes())
    return path


def _run(python: Path | str, code: str, *arguments: object) -> tuple[float, float]:
    done = subprocess.run([str(python), "-c", code, *map(str, arguments)], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("result "):
            first, second = line.split()[1:]
            return float(first), float(second)
    raise SystemExit(done.stderr[-2000:])


def _video(run: Path, video: Path, fer_python: Path | None, folder: Path) -> list[str]:
    rates: dict[str, list[tuple[float, float]]] = {}
    for _ in range(REPEATS):
        if fer_python:
            rates.setdefault("fer 25.10, `detect_emotions`", []).append(_run(fer_python, FER, video))
        rates.setdefault("`fer-tl predict --save csv`", []).append(
            _run(sys.executable, OURS, run, video, "csv", folder / "out-csv")
        )
        rates.setdefault("`fer-tl predict`, with the annotated video", []).append(
            _run(sys.executable, OURS, run, video, "csv,pictures", folder / "out-both")
        )
    first = median(rate for rate, _ in next(iter(rates.values())))
    lines = [
        f"## Video of 640 x 480, one face, {FRAMES} frames, Haar",
        "",
        f"Medians of {REPEATS} runs in turn, each in a new process, from the first frame to the last result; loading "
        "is not counted, compiling is.",
        "",
        "| program | frames/s | slowest | fastest | faces a frame | of the first |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, found in rates.items():
        each = [rate for rate, _ in found]
        lines.append(
            f"| {name} | {median(each):.1f} | {min(each):.1f} | {max(each):.1f} | {found[0][1]:.2f} | "
            f"{median(each) / first:.2f} |"
        )
    return [*lines, ""]


def _crops(run: Path, source: Path, folder: Path) -> list[str]:
    images = folder / "crops"
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if name.endswith((".png", ".jpg"))][:4000]
        archive.extractall(images, names)
    alone, whole = _run(sys.executable, CROPS, run, images, folder / "out-crops")
    return [
        f"## Folder of {len(names):,} crops of FER-2013, `--faces crop`",
        "",
        f"The model alone, on pixels in memory in batches of 64: {alone:.0f} images/s. `fer-tl predict` from files to "
        f"the CSV: {whole:.0f} images/s, {whole / alone:.0%}. Medians of 5 in turn.",
        "",
    ]


def _cold(run: Path, photo: Path, out: Path) -> list[str]:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "fer_tl", "predict", str(run), str(photo), "--out", str(out)], check=True,
            capture_output=True,
        )  # fmt: skip
        times.append(time.perf_counter() - began)
    return [
        "## One photo, from the command to its end",
        "",
        f"{median(times):.1f} s, the median of {REPEATS} ({min(times):.1f} to {max(times):.1f}).",
        "",
    ]


def _memory(run: Path, video: Path, out: Path) -> list[str]:
    command = [sys.executable, "-c", OURS, str(run), str(video), "csv,pictures", str(out)]
    samples: list[tuple[float, int]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        began, watched, ended = time.perf_counter(), psutil.Process(process.pid), threading.Event()

        def watch() -> None:
            while not ended.wait(1.0):
                samples.append((time.perf_counter() - began, watched.memory_info().rss))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        text = process.communicate()[0]
        ended.set()
        watcher.join()
    rate = float(text.split()[1])
    shares = [samples[int(len(samples) * part)] for part in (0.1, 0.25, 0.5, 0.75)] + [samples[-2]]
    lines = [
        f"## Memory over a video of 10 minutes ({LONG_FRAMES:,} frames of 320 x 240, annotated, {rate:.0f} frames/s)",
        "",
        "| after, s | resident, MiB |",
        "|---:|---:|",
    ]
    return lines + [f"| {after:.0f} | {size / 2**20:.0f} |" for after, size in shares] + [""]


if __name__ == "__main__":
    main()
