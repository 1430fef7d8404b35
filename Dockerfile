# scaae-nipype as a BIDS App. Build:  docker build -t scaae .
# Run:  docker run --rm --read-only --tmpfs /tmp -u $(id -u):$(id -g) -v /data:/data:ro -v /out:/out -v /work:/work \
#         scaae /data /out participant --work-dir /work
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# Which build of PyTorch: nothing takes the public index's, which on Linux carries CUDA (and computes on processors too).
# The address of the index of CPU builds, or of another CUDA release, as PyTorch's installation page names it, takes that:
#   docker build --build-arg TORCH_INDEX=ADDRESS -t scaae .
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv
WORKDIR /src
COPY constraints.txt ./
# PyTorch first, alone: the largest layer, and the one that changes least.
RUN /opt/venv/bin/python -m pip install ${TORCH_INDEX:+--index-url ${TORCH_INDEX}} "$(grep '^torch==' constraints.txt)"
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY scaae_nipype scaae_nipype
COPY workflows workflows
COPY bids_app bids_app
RUN /opt/venv/bin/python -m pip install --constraint constraints.txt .

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="scaae-nipype" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Functional brain networks from every single fMRI volume, as a BIDS App"
COPY --from=build /opt/venv /opt/venv
# Any user, a read-only root and no home: everything that is written goes to the output and work folders.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SCAAE_CONTAINER_TAG="scaae-nipype:${VERSION}"
RUN useradd --system --no-create-home --uid 10001 scaae
USER scaae
WORKDIR /tmp
ENTRYPOINT ["scaae-bids"]
CMD ["--help"]
