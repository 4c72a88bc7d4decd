// A real datagram socket in the place of systemd's.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { eventually } from '../uplink/rig.ts';

/** Each message on a line. A barrier comes with a descriptor that is closed when all before it is read. */
const LISTEN = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])
print('ready', flush=True)
while True:
    said, fds, _, _ = socket.recv_fds(s, 4096, 4)
    for fd in fds: os.close(fd)
    if not fds: print(said.decode().replace('\\n', ' '), flush=True)
`;

/** What a service manager would hear at `socket`. */
export async function manager(t: Test) {
  // Addresses of such sockets have at most 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'lenscap-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, 'notify');
  const child = spawn('/usr/bin/python3', ['-c', LISTEN, socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const heard: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => heard.push(line));
  await eventually('the socket', () => heard.includes('ready'));
  return { socket, heard };
}
