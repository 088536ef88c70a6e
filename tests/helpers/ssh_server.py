"""An SSH server on loopback that runs commands: `python ssh_server.py FOLDER`.

FOLDER holds host_key and authorized_keys; the port is written to FOLDER/port once it listens.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncssh


async def run(process):
    child = subprocess.Popen(
        process.command,
        shell=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    # as sshd does: who hangs up takes the command with them
    while child.poll() is None and not process.is_closing():
        await asyncio.sleep(0.05)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    process.exit(max(child.returncode, 0))


async def main(folder):
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=run,
        encoding=None,
    )
    port = server.sockets[0].getsockname()[1]
    (folder / "port.tmp").write_text(str(port))
    (folder / "port.tmp").rename(folder / "port")
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
