# A server for pictures: page and API, CPU, no run needed. From the folder of the project:
#   docker build --file containers/serve.Dockerfile --tag fer-tl-serve .
#   docker run --rm --read-only --tmpfs /tmp --publish 127.0.0.1:8000:8000 fer-tl-serve
# JAX and not TensorFlow: the same answers (tests/inference run on both), and some 1.4 GB less.
FROM python:3.12-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir build==1.6.1
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY fer_tl fer_tl
COPY tfrecords_builder tfrecords_builder
RUN python -m build --wheel --outdir /wheels

FROM python:3.12-slim
ENV KERAS_BACKEND=jax \
    JAX_PLATFORMS=cpu \
    MPLCONFIGDIR=/tmp/matplotlib \
    KERAS_HOME=/tmp/keras \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The wheel is a file, which has no version to pin.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel=$(ls /wheels/*.whl) && pip install --no-cache-dir "${wheel}[jax,vision,serve]"
RUN useradd --create-home --uid 10001 fer-tl
USER 10001
WORKDIR /home/fer-tl
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Another model: --volume "$PWD/runs/one:/run-folder:ro", and serve --host 0.0.0.0 /run-folder in place of what stands here.
ENTRYPOINT ["fer-tl"]
CMD ["serve", "--host", "0.0.0.0"]
