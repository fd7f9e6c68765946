// SPDX-License-Identifier: MIT
// Every message of the C++ tests of the protocol, both directions, against the official schemas. $RGT_WIRE_LOG is the
// folder that tests/server/mcp/wire_log.h wrote.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { WireJudge } from './wire_schema.mjs';

const folder = process.env.RGT_WIRE_LOG;

test('the messages of our own tests fit the schema of their revision', () => {
  const problems = [];
  const methods = new Set();
  let judged = 0;
  for (const name of readdirSync(folder)) {
    const judge = new WireJudge();
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)) {
      const { from, message } = JSON.parse(line);
      judge.see(from, message);
    }
    problems.push(...judge.finish().map((problem) => `${name}: ${problem}`));
    judged += judge.judged;
    judge.methods.forEach((method) => methods.add(method));
  }
  console.log(`${judged} judged; ${[...methods].sort().join(', ')}`);
  assert.deepEqual(problems.slice(0, 20), []);
  assert.ok(judged > 1000, `only ${judged} messages were judged`);
  for (const method of ['2025-11-25 tools/call', '2025-11-25 elicitation/create', '2026-07-28 tools/call',
    '2026-07-28 subscriptions/listen', '2026-07-28 tasks/get'])
    assert.ok(methods.has(method), `never seen: ${method}`);
});
