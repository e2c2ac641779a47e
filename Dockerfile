# One image for the API, the workers, beat and Chroma; docker-compose.yml gives each its command.
FROM python:3.11-slim AS build
# The CPU build keeps the image small. For CUDA: --build-arg TORCH_INDEX_URL=https://pypi.org/simple
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/paddock
WORKDIR /src
# PyTorch first and from its own index, so that nothing after it chooses another build.
COPY constraints.txt ./
RUN /opt/paddock/bin/pip install --index-url "$TORCH_INDEX_URL" --extra-index-url https://pypi.org/simple torch==2.13.0
# The dependencies before the code: an edit to the code does not install them again.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir cli server workers state config rag \
    && /opt/paddock/bin/pip install -c constraints.txt ".[postgres]" \
    && /opt/paddock/bin/pip uninstall --yes paddock
COPY setup.py ./
COPY examples examples
COPY docs docs
COPY cli cli
COPY server server
COPY workers workers
COPY state state
COPY config config
COPY rag rag
RUN /opt/paddock/bin/pip install --no-deps .

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home paddock && install -d -o paddock -g paddock -m 700 /data /chroma
COPY --from=build /opt/paddock /opt/paddock
ENV PATH=/opt/paddock/bin:$PATH \
    LF_DATA_DIR=/data \
    LF_HOST=0.0.0.0 \
    LF_PORT=8000 \
    ANONYMIZED_TELEMETRY=False \
    MALLOC_ARENA_MAX=2 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    TOKENIZERS_PARALLELISM=false
USER paddock
WORKDIR /home/paddock
VOLUME ["/data", "/chroma"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/liveness', timeout=4)"]
# Everything in one container: `docker run -e LF_API_KEY=… -p 127.0.0.1:8000:8000 -v paddock:/data paddock`.
CMD ["lf", "server", "start"]
