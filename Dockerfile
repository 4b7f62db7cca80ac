# Images of the service: --target cpu (also the default) and --target gpu.
#   docker build --target cpu -t crossfix:cpu .
# The build fails if an image contains a compiler or torch.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm
ARG RUNTIME_IMAGE=${PYTHON_IMAGE}

# The tools for installing stay in this stage; the images copy only /opt/crossfix from it.
FROM ${PYTHON_IMAGE} AS installer
RUN python3 -m venv /opt/installer \
    && python3 -m venv --without-pip /opt/crossfix
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

FROM installer AS packages-cpu
COPY requirements/cpu.txt /requirements.txt
RUN /opt/installer/bin/pip --python /opt/crossfix/bin/python3 \
    install --require-hashes --only-binary :all: --requirement /requirements.txt
COPY deploy/container/trim-packages /trim-packages
RUN python3 /trim-packages /opt/crossfix/lib/python3.11/site-packages

FROM ${RUNTIME_IMAGE} AS runtime
RUN groupadd --gid 10001 crossfix \
    && useradd --uid 10001 --gid crossfix --home-dir /nonexistent --shell /usr/sbin/nologin crossfix \
    && install --directory --owner crossfix --group crossfix --mode 0750 /var/lib/crossfix
WORKDIR /srv/crossfix
COPY bundles/compact/ bundles/compact/
COPY service/ service/
RUN python3 -m compileall -q -j 0 service \
    && printf '#!/bin/sh\nexec python3 -m service.cli.main "$@"\n' > /usr/local/bin/crossfix \
    && chmod 0755 /usr/local/bin/crossfix
ENV PATH=/opt/crossfix/bin:$PATH \
    PYTHONPATH=/srv/crossfix \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    CROSSFIX_HOST=0.0.0.0 \
    CROSSFIX_PORT=8080 \
    CROSSFIX_DATA_DIR=/var/lib/crossfix
EXPOSE 8080
VOLUME /var/lib/crossfix
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-m", "service.server.probe", "/livez"]
ENTRYPOINT ["crossfix"]
CMD ["serve"]

FROM runtime AS cpu
COPY --from=packages-cpu /opt/crossfix /opt/crossfix
COPY deploy/container/check-image /tmp/check-image
RUN python3 /tmp/check-image && rm /tmp/check-image
ENV CROSSFIX_DEVICE=cpu
USER crossfix

FROM installer AS packages-gpu
COPY requirements/gpu.txt /requirements.txt
RUN /opt/installer/bin/pip --python /opt/crossfix/bin/python3 \
    install --require-hashes --only-binary :all: --requirement /requirements.txt
COPY deploy/container/trim-packages /trim-packages
RUN python3 /trim-packages /opt/crossfix/lib/python3.11/site-packages

FROM runtime AS gpu
COPY --from=packages-gpu /opt/crossfix /opt/crossfix
COPY deploy/container/check-image /tmp/check-image
RUN python3 /tmp/check-image && rm /tmp/check-image
ENV CROSSFIX_DEVICE=cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER crossfix

FROM cpu
