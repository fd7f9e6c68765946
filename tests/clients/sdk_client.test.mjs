// SPDX-License-Identifier: MIT
// The TypeScript SDK as a host would use it: lists and calls every tool on the local box, and holds
// every result against the schema that the tool declared.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const home = mkdtempSync(join(tmpdir(), 'rgt-sdk-'));
const typed = { value: { action: 'decline' } };
const asked = [];
let client;
let tools;

before(async () => {
  client = new Client({ name: 'sdk-test', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, async (request) => {
    asked.push(request.params);
    return typed.value;
  });
  await client.connect(new StdioClientTransport({
    command: process.env.RGT_BINARY, args: ['serve'],
    env: { ...process.env, HOME: home, RGT_STATE_DIR: join(home, 'state') },
  }));
  tools = (await client.listTools()).tools;
});

after(async () => {
  await client.close();
  rmSync(home, { recursive: true, force: true });
});

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  const tool = tools.find((one) => one.name === name);
  if (!result.isError) {
    const validate = new Ajv({ strict: false }).compile(tool.outputSchema);
    assert.ok(validate(result.structuredContent), JSON.stringify(validate.errors));
    assert.ok(result.content[0].text.startsWith(result.structuredContent.summary));
  }
  return result;
}

async function until(name, args, holds) {
  for (let i = 0; i < 300; ++i) {
    const result = await call(name, args);
    if (holds(result.structuredContent)) return result;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`never came true: ${name}`);
}

test('seven tools, small enough to list in every session', () => {
  assert.deepEqual(tools.map((tool) => tool.name),
    ['audit', 'launch', 'probe', 'patrol_tick', 'verify_artifacts', 'teardown_request', 'lookup']);
  assert.ok(JSON.stringify({ tools }).length <= 10240);
});

test('the lifecycle through a real host library, with a human who types', async () => {
  assert.equal((await call('audit', { box: 'local' })).structuredContent.box, 'local');
  const job = { run: 'sdk', box: 'local', cells: [{ name: 'a', command: 'echo \'{"loss": 1}\' > "$RGT_OUT/m.json"', artifacts: ['m.json'] }] };
  assert.equal((await call('launch', { job })).structuredContent.started, true);
  await until('probe', { run: 'sdk' }, (seen) => seen.verdict === 'done');
  await call('patrol_tick');
  typed.value = { action: 'accept', content: { box_name: 'local' } };
  assert.equal((await call('teardown_request', { box: 'local' })).structuredContent.state, 'blocked');
  assert.equal(asked.length, 0);
  assert.equal((await call('verify_artifacts', { run: 'sdk' })).structuredContent.verdict, 'proven');
  typed.value = { action: 'accept', content: {} };
  assert.equal((await call('teardown_request', { box: 'local' })).structuredContent.state, 'waiting');
  assert.deepEqual(Object.keys(asked[0].requestedSchema.properties), ['box_name']);
  assert.equal(asked[0].requestedSchema.properties.box_name.default, undefined);
  typed.value = { action: 'accept', content: { box_name: 'local' } };
  assert.equal((await call('teardown_request', { box: 'local' })).structuredContent.state, 'done');
  assert.ok((await call('lookup', { query: 'exit code 137 Killed' })).structuredContent.results.length > 0);
});

test('wrong arguments come back as an error that the model can read', async () => {
  const result = await call('probe', { rum: 'sdk' });
  assert.equal(result.isError, true);
  assert.match(result.content[0].text, /run is missing|unknown key/);
  await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), /unknown tool/);
});

test('resources, templates, prompts and completion', async () => {
  const { resources } = await client.listResources();
  assert.ok(resources.some((one) => one.uri.endsWith('SKILL.md')));
  const note = await client.readResource({ uri: 'rgt://runs/sdk' });
  assert.match(note.contents[0].text, /# Run sdk/);
  assert.match((await client.readResource({ uri: 'rgt://entries/U7' })).contents[0].text, /inodes/);
  await assert.rejects(client.readResource({ uri: 'rgt://handbook/../../etc/passwd' }), /no resource/);
  const { prompts } = await client.listPrompts();
  assert.deepEqual(prompts.map((one) => one.name), ['start', 'patrol', 'takeover', 'teardown']);
  assert.match((await client.getPrompt({ name: 'takeover' })).messages[0].content.text, /sdk on local/);
  const done = await client.complete({ ref: { type: 'ref/resource', uri: 'rgt://runs/{run}' }, argument: { name: 'run', value: 's' } });
  assert.deepEqual(done.completion.values, ['sdk']);
});

test('every answer fits the official schema of the revision', async () => {
  const schema = JSON.parse(readFileSync(new URL('../server/mcp/schemas/schema-2025-11-25.json', import.meta.url)));
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addSchema(schema, 'mcp');
  const fits = (name, value) => {
    const validate = ajv.getSchema(`mcp#/$defs/${name}`);
    assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
  };
  fits('ListToolsResult', await client.listTools());
  fits('ListResourcesResult', await client.listResources());
  fits('ListResourceTemplatesResult', await client.listResourceTemplates());
  fits('ReadResourceResult', await client.readResource({ uri: 'rgt://entries/U7' }));
  fits('ListPromptsResult', await client.listPrompts());
  fits('GetPromptResult', await client.getPrompt({ name: 'patrol' }));
  fits('CallToolResult', await call('patrol_tick'));
  fits('CallToolResult', await call('probe', {}));
  for (const params of asked) fits('ElicitRequestParams', params);
});
