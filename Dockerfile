# The hub as one container. Give it HUB_DATABASE_URL and HUB_REDIS_URL; without them it runs its own servers in the volume.
# Ray keeps objects in /dev/shm: run with --shm-size=512m.
FROM python:3.12-slim

RUN useradd --system --uid 10001 --create-home --home-dir /home/hub hub \
    && install -d -o hub -g hub -m 0700 /data
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE serve_app.py ./
COPY hub hub
COPY actors actors
COPY adapters adapters
COPY cluster cluster
RUN pip install --no-cache-dir -c constraints.txt .

USER hub
WORKDIR /data
ENV HUB_HOME=/data/.hub HUB_HOST=0.0.0.0
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["hub", "up"]
