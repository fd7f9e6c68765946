// SPDX-License-Identifier: MIT
// Many clients at once over HTTP, and clients that give up: nothing fails, nothing leaks, nothing is left running.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { newHome, startRgt } from './serve.mjs';

const home = newHome();
let server;

// A small quarantine: under ASan freed memory is kept back, which would look like growth.
before(async () => { server = await startRgt({ ...home.env, ASAN_OPTIONS: 'quarantine_size_mb=4' }); });
// LeakSanitizer judges at the end: a leak is an exit code.
after(async () => {
  const end = await server.stop();
  home.remove();
  assert.deepEqual([end.code, end.signal], [0, null], end.errors);
});

const status = (name) => Number(/\d+/.exec(new RegExp(`^${name}:.*$`, 'm').exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[0])[0]);
const port = () => new URL(server.url).port;
const load = async (clients, calls) => JSON.parse((await promisify(execFile)(process.env.RGT_HTTP_LOAD,
  [port(), clients, calls, 'lookup', '{"query":"disk full inodes"}'].map(String))).stdout);

async function until(holds, what) {
  for (let i = 0; i < 600; ++i) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(what);
}

function descendants(pid) {
  const parents = new Map();
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const [, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
      parents.set(Number(name), Number(parent));
    } catch { /* it has just ended */ }
  }
  const isBelow = (one) => one === pid || (parents.has(one) && isBelow(parents.get(one)));
  return [...parents.keys()].filter((one) => one !== pid && isBelow(one));
}
const commands = () => descendants(server.pid).map((pid) => {
  try { return readFileSync(`/proc/${pid}/comm`, 'utf8').trim(); } catch { return ''; }
});

test('64 clients with 200 calls each: no error, and memory stays as it was after the first round', async () => {
  assert.deepEqual([(await load(64, 200)).errors], [0]);
  const before = status('VmRSS');
  const { calls, errors } = await load(64, 200);
  assert.deepEqual([calls, errors], [12800, 0]);
  const grown = status('VmRSS') / before;
  assert.ok(grown < 1.15, `grew by ${grown}`);
  await until(() => status('Threads') < 8, 'the threads of the load are still there');
});

test('a call that its client cancels stops its work: hashing ends, within seconds of a minute', async () => {
  const client = new Client({ name: 'impatient', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.url)));
  // 64 GiB without using disk: minutes of hashing.
  const job = { run: 'huge', box: 'local', cells: [{ name: 'a', command: 'truncate -s 64G "$RGT_OUT/huge.bin"', artifacts: ['huge.bin'] }] };
  await client.callTool({ name: 'launch', arguments: { job } });
  for (let verdict; verdict !== 'done';)
    verdict = (await client.callTool({ name: 'probe', arguments: { run: 'huge' } })).structuredContent.verdict;
  const stop = new AbortController();
  const verifying = client.callTool({ name: 'verify_artifacts', arguments: { run: 'huge' } }, undefined, { signal: stop.signal });
  verifying.catch(() => {});
  await until(() => commands().includes('sha256sum'), 'the hashing never began');
  const asked = Date.now();
  stop.abort();
  await until(() => !commands().includes('sha256sum'), 'the hashing goes on');
  const spent = Date.now() - asked;
  console.log(`stopped after ${spent} ms`);
  assert.ok(spent < 5000, `took ${spent} ms`);  // a second; room for sanitizers on a busy machine
  await assert.rejects(verifying);
  await client.close();
});

test('clients that vanish in the middle leave nothing behind', async () => {
  const vanishing = (i) => new Promise((resolve) => {
    const child = execFile(process.env.RGT_HTTP_LOAD, [port(), '8', '1000', 'lookup', '{"query":"nan loss"}'], () => resolve());
    setTimeout(() => child.kill('SIGKILL'), 100 + 37 * i);
  });
  await Promise.all(Array.from({ length: 8 }, (_, i) => vanishing(i)));
  await until(() => status('Threads') < 8, 'threads of clients that are gone are still there');
  assert.equal((await load(4, 10)).errors, 0);
});
