# SPDX-License-Identifier: GPL-2.0-or-later
"""labs.py - running labs with servers on web1, for the programs that measure"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ADDRESS = "10.1.0.11"

NGINX_CONF = """
worker_processes {workers};
error_log {dir}/error.log crit;
pid {dir}/nginx.pid;
daemon off;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen 80; root {dir}/www; }}
}}
"""

BUILD = TOP


def program(name):
    for path in (f"{BUILD}/harness/{name}", f"{BUILD}/harness/load/{name}", f"{BUILD}/npp/{name}"):
        if os.path.isfile(path):
            return path
    found = shutil.which(name)
    if not found:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {name} is not built")
    return found


class Lab:
    """A running lab with its servers."""

    def __init__(self, key, workdir):
        self.key, self.name = key, f"cmp{os.getpid()}{key.replace('=', '')}"
        self.dir = f"{workdir}/{key}"
        self.servers = []

    def up(self, topology, sets, workers, nginx):
        os.makedirs(f"{self.dir}/www")
        os.chmod(os.path.dirname(self.dir), 0o755)
        with open(f"{self.dir}/www/index.html", "wb") as f:
            f.write((b"<html><body>npp" + b"." * 612)[:612])
        with open(f"{self.dir}/nginx.conf", "w") as f:
            f.write(NGINX_CONF.format(dir=self.dir, workers=workers))
        cmd = [program("npp-lab"), "up", f"{TOP}/topologies/{topology}", "--name", self.name]
        for s in sets:
            cmd += ["--set", s]
        subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)
        load = program("npp-load")
        if nginx:
            self.start("web1", ["nginx", "-e", f"{self.dir}/error.log", "-c", f"{self.dir}/nginx.conf"])
        for mode, port in (("http", 8081), ("echo", 8082), ("sink", 8083), ("source", 8084)):
            self.start("web1", [load, "serve", "-p", str(port), mode])
        for port in ((80,) if nginx else ()) + (8081, 8082, 8083, 8084):
            self.wait_for(port)

    def exec_cmd(self, node, cmd):
        return [program("npp-lab"), "exec", "--lab", self.name, node, "--"] + cmd

    def start(self, node, cmd):
        log = open(f"{self.dir}/{os.path.basename(cmd[0])}.log", "ab")
        self.servers.append(subprocess.Popen(self.exec_cmd(node, cmd), stdout=log, stderr=log))

    def wait_for(self, port):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            r = subprocess.run(self.exec_cmd("client1", ["nc", "-z", "-w", "1", ADDRESS, str(port)]),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if r.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.key}: nothing answers on port {port}; see {self.dir}")

    def pids(self):
        """Processes on web1 and those of its NPP, servers included."""
        r = subprocess.run([program("npp-lab"), "status", self.name, "--json"], check=True,
                           capture_output=True, text=True)
        spaces = {os.stat(f"/run/netns/{n['namespace']}").st_ino
                  for n in json.loads(r.stdout)["nodes"] if n["name"] != "client1"}
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino in spaces:
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def processor_ns(self):
        """Time on a processor of each of pids() so far."""
        spent = {}
        for pid in self.pids():
            try:
                spent[pid] = sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0])
                                 for t in os.listdir(f"/proc/{pid}/task"))
            except OSError:
                pass
        return spent

    def down(self):
        for p in self.servers:
            p.send_signal(signal.SIGTERM)
        for p in self.servers:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        subprocess.run([program("npp-lab"), "down", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Session:
    """All labs and files of one run; everything is gone at its end."""

    def __init__(self, builddir, workers=2):
        global BUILD
        BUILD = os.path.abspath(builddir)
        self.workers, self.labs = workers, []
        self.workdir = tempfile.mkdtemp(prefix="npp-bench-")

    def __enter__(self):
        # Whoever ends this program ends its labs; and if it is killed, npp-lab clean does.
        os.environ["NPP_LAB_KEEPER"] = str(os.getpid())
        for s in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, lambda number, frame: sys.exit(128 + number))
        return self

    def lab(self, key, topology, sets, nginx=True):
        lab = Lab(key, self.workdir)
        self.labs.append(lab)
        lab.up(topology, sets, self.workers, nginx)
        return lab

    def __exit__(self, *exc):
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)
        for lab in self.labs:
            lab.down()
        shutil.rmtree(self.workdir, ignore_errors=True)
