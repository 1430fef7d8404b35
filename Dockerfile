# scaae-nipype as a BIDS App. Build:  docker build -t scaae .
# Run:  docker run --rm --read-only --tmpfs /tmp -u $(id -u):$(id -g) -v /data:/data:ro -v /out:/out -v /work:/work \
#         scaae /data /out participant --work-dir /work
# With CUDA:  docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t scaae:cuda .
# Layers, from what changes least to what changes most: Python, PyTorch, the other packages, this project.
ARG BASE=python:3.11-slim-bookworm

# What the packages' layers are made from: these stay as they are when anything else in setup.cfg changes.
FROM ${BASE} AS requirements
COPY setup.cfg constraints.txt /
RUN grep '^torch==' /constraints.txt > /torch.txt && python3 -c "import configparser; c = configparser.ConfigParser(); \
c.read('/setup.cfg'); print(c['options']['install_requires'].strip())" > /requirements.txt

FROM ${BASE} AS project
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY scaae_nipype scaae_nipype
COPY workflows workflows
COPY bids_app bids_app
RUN /opt/venv/bin/python -m pip install --no-deps --target /opt/scaae .

FROM ${BASE} AS torch
# Which build of PyTorch: an index that its installation page names, asked beside that of all other packages (whose build
# carries CUDA on Linux); where it cannot be reached, or is empty, the latter is taken.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python PIP_ROOT_USER_ACTION=ignore
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends binutils
COPY --from=requirements /torch.txt /opt/
# What only those need who develop these packages goes: tests, headers, static libraries, programs of tests, names of
# functions that only a debugger reads; so does what only shows tensorboard's curves.
RUN set -eu; python3 -m venv --without-pip /opt/venv; \
    python3 -m pip install --no-compile --no-deps ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} -r /opt/torch.txt; \
    cd /opt/venv/lib/python3*/site-packages/torch; \
    rm -rf test include share bin/*test* bin/protoc* lib/*test*.so; \
    find . -type f -regex '.*\.\(a\|pyi\|c\|h\|cpp\|cu\)' -delete; \
    strip --strip-unneeded lib/libtorch_cpu.so lib/libtorch_python.so

FROM ${BASE}
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python PIP_ROOT_USER_ACTION=ignore
COPY --from=torch /opt/venv /opt/venv
COPY --from=requirements /constraints.txt /requirements.txt /opt/
# Of bytecode there is what these imports leave behind: all of it would be 210 MB.
RUN set -eu; \
    python3 -m pip install --no-compile --use-pep517 --constraint /opt/constraints.txt --requirement /opt/requirements.txt; \
    cd /opt/venv/lib/python3*/site-packages; find . -type d -name tests -prune -exec rm -rf {} +; \
    find . -type f -regex '.*\.\(pyx\|pxd\|pxi\|c\|h\|hpp\|cpp\|cu\)' -delete; \
    rm -rf tensorboard_data_server grpc skimage/data/*.png skimage/data/*.tif* skimage/data/*.npz skimage/data/*.jpg; \
    HOME=/tmp /opt/venv/bin/python -c "import bids, filelock, jinja2, safetensors.torch, tqdm.auto; \
import lightning.pytorch.loggers, lightning.pytorch.callbacks, torch.utils.data, torch.utils.tensorboard, torch.distributed.run; \
import matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, matplotlib.pyplot; \
import nilearn.decomposition, nilearn.glm.first_level, nilearn.image, nilearn.masking, nilearn.signal, nilearn.datasets; \
import nipype.pipeline.engine, nipype.pipeline.plugins, nipype.interfaces.utility, niworkflows.engine.workflows; \
import scipy.cluster.vq, scipy.integrate, scipy.interpolate, scipy.ndimage, scipy.signal, scipy.stats; \
import sklearn.cluster, sklearn.decomposition, sklearn.linear_model, sklearn.metrics, sklearn.model_selection"; \
    echo /opt/scaae > scaae.pth; \
    for program in scaae-bids scaae-model scaae-simulate; do ln -s ../../scaae/bin/$program /opt/venv/bin/; done; \
    rm -rf /tmp/* /root/.cache
# Any user, a read-only root and no home: everything that is written goes to the output and work folders.
RUN useradd --system --no-create-home --uid 10001 scaae && mkdir /data /out /work && chmod 1777 /out /work
COPY --from=project /opt/scaae /opt/scaae
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scaae-nipype" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.authors="The scaae-nipype developers" \
      org.opencontainers.image.description="Functional brain networks from every single fMRI volume, as a BIDS App" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
ENV PATH=/opt/venv/bin:$PATH PIP_PYTHON= \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SCAAE_CONTAINER_TAG="scaae-nipype:${VERSION}"
USER scaae
WORKDIR /tmp
ENTRYPOINT ["/opt/venv/bin/scaae-bids"]
CMD ["--help"]
