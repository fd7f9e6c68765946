// SPDX-License-Identifier: MIT
// Both generations of the TypeScript SDK, each over stdio and HTTP, in every era that it speaks; all that goes over the
// wire is held against the official schemas.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { newHome, startRgt } from './serve.mjs';
import { watched, WireJudge } from './wire_schema.mjs';

const home = newHome();
const token = 'a-token-that-is-long-enough';
const info = { name: 'sdk-transports', version: '1' };
let server;
let guarded;

before(async () => {
  writeFileSync(join(home.path, 'token'), token, { mode: 0o600 });
  server = await startRgt(home.env);
  guarded = await startRgt(home.env, '--token-file', join(home.path, 'token'));
});

after(async () => {
  const ends = await Promise.all([server, guarded].map((one) => one.stop()));
  home.remove();
  for (const end of ends) assert.equal(end.code, 0, end.errors);
});

const stdio = (Transport) => new Transport({ command: process.env.RGT_BINARY, args: ['serve'], env: home.env });
const http = (Transport) => new Transport(new URL(server.url));
const era = (mode) => ({ versionNegotiation: { mode } });

const ways = {
  '1.x over stdio': [Client1, () => stdio(Stdio1), {}, '2025-11-25'],
  '1.x over HTTP': [Client1, () => http(Http1), {}, '2025-11-25'],
  '2.x over stdio, with a handshake': [Client2, () => stdio(Stdio2), era('legacy'), '2025-11-25'],
  '2.x over stdio, newest that both know': [Client2, () => stdio(Stdio2), era('auto'), '2026-07-28'],
  '2.x over HTTP, with a handshake': [Client2, () => http(Http2), era('legacy'), '2025-11-25'],
  '2.x over HTTP, newest that both know': [Client2, () => http(Http2), era('auto'), '2026-07-28'],
  '2.x over HTTP, 2026-07-28 and nothing else': [Client2, () => http(Http2), era({ pin: '2026-07-28' }), '2026-07-28'],
};

for (const [name, [Client, transport, options, revision]] of Object.entries(ways)) {
  test(`SDK ${name}: tools, resources, prompts, errors`, async () => {
    const client = new Client(info, { capabilities: { elicitation: {} }, ...options });
    const judge = new WireJudge(revision);
    await client.connect(watched(transport(), judge));
    try {
      assert.equal(client.getServerVersion().name, 'rgt');
      assert.match(client.getInstructions(), /audit/);
      const { tools } = await client.listTools();
      assert.equal(tools.length, 7);
      const found = await client.callTool({ name: 'lookup', arguments: { query: 'U7' } });
      assert.equal(found.structuredContent.results[0].id, 'U7');
      const wrong = await client.callTool({ name: 'probe', arguments: { rum: 'x' } });
      assert.equal(wrong.isError, true);
      await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), /unknown tool/);
      const { resources } = await client.listResources();
      assert.ok(resources.some((one) => one.uri.endsWith('SKILL.md')));
      assert.match((await client.readResource({ uri: 'rgt://entries/U7' })).contents[0].text, /inodes/);
      await assert.rejects(client.readResource({ uri: 'rgt://handbook/../../etc/passwd' }), /no resource/);
      assert.match((await client.getPrompt({ name: 'patrol' })).messages[0].content.text, /patrol_tick/);
      const many = await Promise.all(Array.from({ length: 20 }, (_, i) =>
        client.callTool({ name: 'lookup', arguments: { query: `U${i + 1}` } })));
      many.forEach((one, i) => assert.equal(one.structuredContent.results[0].id, `U${i + 1}`));
    } finally {
      await client.close();
    }
    assert.deepEqual(judge.finish(), []);
    assert.ok(judge.judged > 40, `only ${judge.judged} messages were judged`);
    assert.ok(judge.methods.has(`${revision} tools/call`), [...judge.methods].join(', '));
  });
}

test('with a token file, a client without the token is told nothing', async () => {
  const open = (headers) => new Client2(info).connect(new Http2(new URL(guarded.url), { requestInit: { headers } }));
  await assert.rejects(open({}));
  await assert.rejects(open({ Authorization: 'Bearer another-token-altogether' }));
  await open({ Authorization: `Bearer ${token}` });
});

test('a client follows a run: it hears when the recovery note is new and when it changes', async () => {
  const client = new Client1(info);
  const heard = [];
  client.fallbackNotificationHandler = async (note) => { heard.push(note.method); };
  await client.connect(http(Http1));
  await client.subscribeResource({ uri: 'rgt://runs/followed' });
  const job = { run: 'followed', box: 'local', cells: [{ name: 'a', command: 'echo hi > "$RGT_OUT/m.txt"', artifacts: ['m.txt'] }] };
  await client.callTool({ name: 'launch', arguments: { job } });
  for (let i = 0; i < 300 && !heard.includes('notifications/resources/updated'); ++i)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await client.close();
  assert.ok(heard.includes('notifications/resources/updated'), heard.join());
  assert.ok(heard.includes('notifications/resources/list_changed'), heard.join());
});
