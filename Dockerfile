# Two stages: the first builds the wheel and the console with it, the second has only what the service needs.
FROM python:3.12-slim-bookworm AS builder
WORKDIR /source
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . .
RUN TONGPIN_NATIVE=yes python -m pip wheel --no-cache-dir --wheel-dir /wheels ".[postgres]"

FROM python:3.12-slim-bookworm
COPY scripts/packages-run.txt /tmp/packages-run.txt
RUN apt-get update \
    && xargs -a /tmp/packages-run.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/* /tmp/packages-run.txt
RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-index --find-links=/wheels "tongpin[postgres]"
# audio and dialout: the sound cards and serial ports that the container is given
RUN useradd --uid 10001 --groups audio,dialout --no-create-home tongpin \
    && install -d -o tongpin -g tongpin /data
COPY scripts/healthcheck.py /usr/local/lib/tongpin/healthcheck.py
ENV PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
USER tongpin
WORKDIR /data
VOLUME /data
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/usr/local/lib/tongpin/healthcheck.py"]
ENTRYPOINT ["tongpin"]
CMD ["serve", "--config", "/data/tongpin.yaml"]
