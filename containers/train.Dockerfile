# Training on NVIDIA GPUs: TensorFlow with the CUDA libraries that its wheels name; the machine brings driver and the NVIDIA
# container toolkit. From the folder of the project:
#   docker build --file containers/train.Dockerfile --tag fer-tl-train .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/project" fer-tl-train cv --data fer2013 --folds 4
FROM python:3.12-slim AS build
WORKDIR /source
RUN pip install --no-cache-dir build==1.6.1
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY fer_tl fer_tl
COPY tfrecords_builder tfrecords_builder
RUN python -m build --wheel --outdir /wheels

FROM python:3.12-slim
ENV MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The wheel is a file, which has no version to pin.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    wheel=$(ls /wheels/*.whl) && pip install --no-cache-dir "${wheel}[gpu,vision]"
RUN useradd --create-home --uid 10001 fer-tl
USER 10001
# data/ and runs/ of the mounted folder; weights are kept in it too, so that they are fetched once.
ENV KERAS_HOME=/project/.keras
WORKDIR /project
ENTRYPOINT ["fer-tl"]
CMD ["doctor"]
