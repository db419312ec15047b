"""nginx as a plain proxy with one worker and idle connections kept.

Taken from PATH; where there is none, Debian's package is fetched and unpacked, without being installed.
"""

import os
import shutil
import subprocess
from pathlib import Path

from bench.certificates import Certificates
from bench.peers.running import Running, held_port, launch

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
        listen 127.0.0.1:{port} {ssl} backlog=4096;
        {certificates}
        location / {{
            proxy_pass {scheme}://cloud;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


# Toward clients and toward the cloud, whose certificate is checked as ours checks it.
_CERTIFICATES = """
        ssl_certificate {tls.certificate};
        ssl_certificate_key {tls.key};
        proxy_ssl_trusted_certificate {tls.authority};
        proxy_ssl_verify on;
        proxy_ssl_name localhost;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""


def find(home: Path) -> Path | None:
    """An nginx that runs here, or None."""
    installed = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(installed) if installed else _fetched(home)


def _fetched(home: Path) -> Path | None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    home.mkdir(parents=True, exist_ok=True)
    if not list(home.glob("nginx_*.deb")):
        subprocess.run(["apt-get", "download", "nginx"], cwd=home, capture_output=True, check=False)
    for package in home.glob("nginx_*.deb"):
        subprocess.run(
            ["dpkg-deb", "-x", str(package), str(home)], capture_output=True, check=False
        )
    program = home / "usr/sbin/nginx"
    runs = (
        program.exists()
        and subprocess.run([program, "-v"], capture_output=True, check=False).returncode == 0
    )
    return program if runs else None


def start(cache: Path, home: Path, cloud: int, tls: Certificates | None = None) -> Running | None:
    """A proxy before the cloud at port `cloud`, with certificates by TLS on both sides."""
    binary = find(cache / "nginx")
    if binary is None:
        return None
    home.mkdir(parents=True, exist_ok=True)
    port, configuration = held_port(), home / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            home=home,
            cloud=cloud,
            port=port,
            ssl="ssl" if tls else "",
            scheme="https" if tls else "http",
            certificates=_CERTIFICATES.format(tls=tls) if tls else "",
        )
    )
    return launch([binary, "-p", home, "-c", configuration, "-e", home / "error.log"], port, home)
