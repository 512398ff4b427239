"""The TFDS builders alone, on top of fer_tl.sources and fer_tl.data."""
