"""The peer: nginx as a plain proxy, which routes nothing, meters nothing and keeps no journal.

Taken from PATH; where there is none, Debian's package is fetched and unpacked beside the measurement, without being
installed (nothing is started, nothing is left behind).
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

_PATIENCE_S = 10.0
_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_body_buffer_size 1m;
    keepalive_requests 100000000;
    upstream cloud {{ server 127.0.0.1:{cloud}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://cloud;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def find(home: Path) -> Path | None:
    """An nginx that runs here, or None."""
    installed = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(installed) if installed else _fetched(home)


def _fetched(home: Path) -> Path | None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "nginx"], cwd=home, capture_output=True, check=False)
    for package in home.glob("nginx_*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(home)], capture_output=True, check=False)
    found = home / "usr/sbin/nginx"
    runs = found.exists() and subprocess.run([found, "-v"], capture_output=True, check=False).returncode == 0
    return found if runs else None


def start(binary: Path, home: Path, cloud: int) -> tuple[subprocess.Popen[bytes], int]:
    """A proxy before the cloud at port `cloud`; the process and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    configuration = home / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(home=home, cloud=cloud, port=port))
    process = subprocess.Popen([binary, "-p", str(home), "-c", str(configuration), "-e", str(home / "error.log")])
    give_up_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.02)
    process.kill()
    raise TimeoutError(f"nginx did not start: {(home / 'error.log').read_text()}")


def processes(master: int) -> list[int]:
    """The master and its workers."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [master, *map(int, children)]
