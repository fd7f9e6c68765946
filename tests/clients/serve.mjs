// SPDX-License-Identifier: MIT
// Starts servers as a user would, with a home and a ledger of their own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export function newHome() {
  const path = mkdtempSync(join(tmpdir(), 'rgt-client-'));
  return {
    path,
    env: { ...process.env, HOME: path, RGT_STATE_DIR: join(path, 'state') },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

// A server on a free port; its first line of output ends with its URL.
export async function startHttp(command, args, env = process.env) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (bytes) => { errors += bytes; });
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal, errors })));
  const lines = createInterface({ input: child.stdout });
  const url = await Promise.race([
    new Promise((resolve) => lines.once('line', (line) => resolve(line.split(' ').at(-1)))),
    ended.then((how) => { throw new Error(`the server ended at once: ${JSON.stringify(how)}`); }),
  ]);
  return {
    url,
    pid: child.pid,
    // How it ended when asked to: { code, signal, errors }.
    stop: () => { child.kill('SIGTERM'); return ended; },
  };
}

export const startRgt = (env, ...args) => startHttp(process.env.RGT_BINARY, ['serve', '--http', '127.0.0.1:0', ...args], env);
