"""A camera's pictures over HTTP (MJPEG): each is a frame, and a damaged one among them ends nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from fer_tl.faces.films import VideoReader
from fer_tl.inference.predict.opened import open
from fer_tl.inference.predict.summary import Tally

SENT, DAMAGED = 12, (5, 7, 8)


def picture(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), level, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


class Camera(BaseHTTPRequestHandler):
    def log_message(self, *parts: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(SENT):
            data = picture(20 * number)
            if number in DAMAGED:
                data = data[:20] + bytes(300)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/camera.mjpg"
    server.shutdown()
    server.server_close()


def test_pictures_over_http_are_frames_and_a_damaged_one_ends_nothing(address: str) -> None:
    pytest.importorskip("cv2")
    reader = VideoReader(address, live=True)
    frames = list(reader.read(lambda number: True))
    reader.close()
    levels = [round(float(frame.pixels.mean()) / 20) for frame in frames if frame.pixels is not None]
    assert levels == [number for number in range(SENT) if number not in DAMAGED]
    assert reader.damaged == len(DAMAGED)
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)


def test_damaged_frames_of_a_stream_are_counted_in_the_summary(address: str) -> None:
    pytest.importorskip("cv2")
    opened = open([address])
    assert opened.video is not None
    list(opened.video.read(lambda number: True))
    tally = Tally(opened.name, video=True, damaged=opened.damaged)
    assert "3 damaged frames were passed over" in tally.describe(1.0, [])
