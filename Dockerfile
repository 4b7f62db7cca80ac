# syntax=docker/dockerfile:1
# Two targets: `cpu` (default) and `gpu`. No compiler and no torch in either.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build-cpu
COPY requirements/cpu.txt /requirements.txt
RUN python3 -m venv /opt/crossfix \
    && /opt/crossfix/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM ${PYTHON_IMAGE} AS build-gpu
COPY requirements/gpu.txt /requirements.txt
RUN python3 -m venv /opt/crossfix \
    && /opt/crossfix/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM ${PYTHON_IMAGE} AS base
RUN useradd --system --uid 10001 --home-dir /nonexistent crossfix \
    && install -d -o crossfix -g crossfix /var/lib/crossfix
WORKDIR /srv/crossfix
COPY service/ service/
COPY bundles/compact/ bundles/compact/
ENV PATH=/opt/crossfix/bin:$PATH \
    PYTHONPATH=/srv/crossfix \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CROSSFIX_HOST=0.0.0.0 \
    CROSSFIX_PORT=8080 \
    CROSSFIX_DATA_DIR=/var/lib/crossfix
EXPOSE 8080
VOLUME /var/lib/crossfix
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
USER crossfix
ENTRYPOINT ["python3", "-m", "service.cli"]
CMD ["serve"]

FROM base AS gpu
COPY --from=build-gpu /opt/crossfix /opt/crossfix
ENV CROSSFIX_DEVICE=cuda
RUN python3 -c "import importlib.util as u, sys; sys.exit('torch is installed' if u.find_spec('torch') else 0)"

FROM base AS cpu
COPY --from=build-cpu /opt/crossfix /opt/crossfix
ENV CROSSFIX_DEVICE=cpu
RUN python3 -c "import importlib.util as u, sys; sys.exit('torch is installed' if u.find_spec('torch') else 0)"
