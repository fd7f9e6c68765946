// SPDX-License-Identifier: MIT
// The agents people use, from npm, with a home of their own and no account: they add rgt as a user would and say that it
// is connected.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { newHome, startRgt } from './serve.mjs';

const programs = join(dirname(fileURLToPath(import.meta.url)), 'node_modules/.bin');
const home = newHome();
const rgt = process.env.RGT_BINARY;
// No call home, no update: these tests run without a network.
const env = {
  ...home.env, DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  PATH: `${programs}:${home.env.PATH}`,
};
for (const name of ['CLAUDECODE', 'CLAUDE_CODE_ENTRYPOINT', 'CLAUDE_CONFIG_DIR', 'CODEX_HOME', 'CODEX_SANDBOX']) delete env[name];
let server;

const run = (program, ...args) => new Promise((resolve) => {
  execFile(join(programs, program), args, { encoding: 'utf8', env, cwd: home.path, timeout: 120000 },
    (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout, text: stdout + stderr }));
});

before(async () => { server = await startRgt(home.env); });
after(async () => {
  assert.equal((await server.stop()).code, 0);
  home.remove();
});

test('Claude Code: `claude mcp add`, then `claude mcp list` says connected, over stdio and HTTP', async () => {
  assert.equal((await run('claude', 'mcp', 'add', 'rgt', '-e', `RGT_STATE_DIR=${home.env.RGT_STATE_DIR}`, '--', rgt, 'serve')).code, 0);
  assert.equal((await run('claude', 'mcp', 'add', '--transport', 'http', 'rgt-http', server.url)).code, 0);
  const { text } = await run('claude', 'mcp', 'list');
  assert.match(text, /^rgt: .*serve.*connected$/im, text);
  assert.match(text, /^rgt-http: .*connected$/im, text);
});

test('Codex: `codex mcp add`, list and get know rgt', async () => {
  const added = await run('codex', 'mcp', 'add', 'rgt', '--', rgt, 'serve');
  assert.equal(added.code, 0, added.text);
  const listed = await run('codex', 'mcp', 'list', '--json');
  assert.equal(JSON.parse(listed.output)[0].transport.command, rgt);
  assert.match((await run('codex', 'mcp', 'get', 'rgt')).text, /serve/);
});
