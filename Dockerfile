# Two images of one server: `docker build .` makes the one for CPUs, `--target gpu` adds vLLM.
# Settings for a private package index go in as a secret and stay out of every layer:
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf .

FROM python:3.11.13-slim-bookworm AS base
ENV PATH=/opt/hexkey/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

# Only what names the dependencies is here, so that a change of the code leaves the layers that
# weigh gigabytes alone. Reading the names takes no build of the project.
FROM base AS environment
WORKDIR /src
RUN python -m venv /opt/hexkey
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; [open(f'{name}.txt', 'w').write('\n'.join(p['dependencies'] + more)) for name, more in {'cpu': [], **p['optional-dependencies']}.items()]"

FROM environment AS environment-cpu
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip install -c constraints.txt -r cpu.txt

FROM environment AS environment-gpu
COPY deploy/constraints-gpu.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip install -c constraints-gpu.txt -r gpu.txt

FROM environment AS wheel
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip install -c constraints.txt hatchling==1.27.0
COPY README.md LICENSE ./
COPY server server
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM base AS runtime
RUN groupadd --gid 10001 hexkey \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /models hexkey \
    && install -d -o 10001 -g 10001 /models
# Models, and what libraries compile for them, outlive the container here.
ENV HEXKEY_CACHE=/models \
    HEXKEY_STATE=/models/.state \
    XDG_CACHE_HOME=/models/.cache
VOLUME /models
EXPOSE 8080 8081
ENTRYPOINT ["hexkey"]
CMD ["serve", "/etc/hexkey/config.yaml", "--http", "0.0.0.0:8080", "--grpc", "0.0.0.0:8081"]
# http.client, since urllib would ask a proxy that is set for the container. The first start fetches
# models, which may take minutes and is no illness.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15m --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/ready'); raise SystemExit(c.getresponse().status != 200)"]

FROM runtime AS gpu
# Triton compiles a small C stub for the kernels that it launches. Of one release Debian keeps the
# newest version alone, so a pinned one could not be had any more after its next security update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
ENV TRITON_CACHE_DIR=/models/.cache/triton
COPY --from=environment-gpu /opt/hexkey /opt/hexkey
COPY configs/gpu.yaml /etc/hexkey/config.yaml
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    python -m pip install --no-index --no-deps /wheels/*.whl
USER 10001:10001

FROM runtime AS cpu
COPY --from=environment-cpu /opt/hexkey /opt/hexkey
COPY configs/quickstart.yaml /etc/hexkey/config.yaml
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    python -m pip install --no-index --no-deps /wheels/*.whl
USER 10001:10001
