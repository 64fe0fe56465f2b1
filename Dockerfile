# What runs, and nothing else: Python, git for DVC, requirements.lock by hash, the command and the stages. No scan, no
# model and no git history get in (.dockerignore). docs/running.md has the commands.
FROM python:3.11-slim-bookworm

# Debian keeps one version of git at a time, so that naming one would break the build when it moves.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /project
ARG LOCK=requirements.lock
COPY ${LOCK} ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r "${LOCK}"

# Editable: a clone that is mounted on /project is what runs then, `brainmri` and the stages alike.
COPY pyproject.toml README.md LICENSE ./
COPY brainmri brainmri
COPY stages stages
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable .

# Any user may run it (`docker run --user`), so that what is written to a mounted folder is that user's.
RUN useradd --create-home --uid 1000 brainmri && chmod 1777 /home/brainmri
ENV HOME=/home/brainmri USER=brainmri DVC_NO_ANALYTICS=1
USER brainmri
CMD ["brainmri", "--help"]
