# The image of every part of Leasehold; the command's first word says which: `run`, `exec`, `wait`, …
#
#   docker build .                               the sidecar
#   docker build --build-arg EXTRAS=operator .   with what an extra of pyproject.toml needs, too
#   docker build --build-arg BASE=… .            on another base: Python 3.11 to 3.14 on glibc, with its venv module
#   docker build --secret id=pip,src=pip.conf .  with settings of pip, such as an index of your own
#
# It runs as any user with a read-only root file system: nothing in it is ever written to at run time.
ARG BASE=python:3.13-slim

FROM ${BASE} AS builder
ARG EXTRAS=""
WORKDIR /src
# The environment that is copied holds no pip: it is filled by that of a second one, which stays behind.
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/leasehold
COPY pyproject.toml ./
COPY sidecar sidecar
# Only binary packages: there is no compiler here, and what it made would be tied to the machine that made it.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /pip/bin/pip wheel --disable-pip-version-check --no-cache-dir --only-binary :all: --wheel-dir /wheels \
        ".${EXTRAS:+[$EXTRAS]}"
# Byte code that is never checked against its source: nothing can change here, and each check is a system call at start.
# It is without docstrings, 2 MB of each pod's memory; by an option of the command's interpreter, not by a variable, which
# programs that `leasehold exec` starts would inherit.
# Of the Kubernetes client, half of an operator's image, nothing here calls the classes by API, 80 MB: its ApiClient sends
# the requests. Of its models kopf imports three; the others, 2,000 files, need no byte code.
RUN /pip/bin/pip --python /opt/leasehold/bin/python3 install --no-cache-dir --no-compile \
        --no-index --find-links /wheels "leasehold${EXTRAS:+[$EXTRAS]}" \
    && rm -rf /opt/leasehold/lib/python3.*/site-packages/kubernetes/client/api \
        /opt/leasehold/lib/python3.*/site-packages/kubernetes/aio/client/api \
    && sed -i '1s/$/ -OO/' /opt/leasehold/bin/*leasehold \
    && /opt/leasehold/bin/python3 -m compileall -q -j 0 -o 2 --invalidation-mode unchecked-hash \
        -x '/kubernetes/(aio/)?client/models/(?!__init__|v1_(managed_fields_entry|object_meta|owner_reference)\.)' \
        /opt/leasehold/lib

FROM ${BASE}
ARG BASE
ARG VERSION=""
LABEL org.opencontainers.image.title="leasehold" \
      org.opencontainers.image.description="Leader election for Kubernetes pods on etcd" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="${BASE}"
# The official Python images come without the standard library's byte code, so each start would compile what it
# imports. They come with pip, which a running container has no use for.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
    && stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && python3 -m compileall -q -j 0 -o 2 --invalidation-mode unchecked-hash \
        -x '/(dist-packages|site-packages|test|tests|idlelib|lib2to3|tkinter|turtledemo)/' "$stdlib"
COPY --from=builder /opt/leasehold /opt/leasehold
ENV PATH=/opt/leasehold/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
# A number, so that the kubelet can tell that it isn't root. It owns nothing.
USER 65532:65532
WORKDIR /
EXPOSE 4040
ENTRYPOINT ["leasehold"]
