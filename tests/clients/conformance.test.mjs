// SPDX-License-Identifier: MIT
// The official conformance suite. Every scenario that a revision requires of a server, and every other one that the
// suite runs beside them, against the fixture server; what needs no fixture against rgt itself. No failure is expected.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { newHome, startHttp, startRgt } from './serve.mjs';

const suite = join(dirname(fileURLToPath(import.meta.url)), 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const home = newHome();
const servers = {};

// What the suite requires of a product without its fixtures (tools, prompts and resources with fixed names).
const generic = {
  '2025-11-25': ['server-initialize', 'ping', 'logging-set-level', 'completion-complete', 'tools-list', 'prompts-list',
    'resources-list', 'resources-subscribe', 'resources-unsubscribe', 'server-sse-multiple-streams',
    'dns-rebinding-protection', 'server-session-lifecycle'],
  '2026-07-28': ['tools-list', 'prompts-list', 'resources-list', 'server-sse-multiple-streams',
    'sep-2164-resource-not-found', 'dns-rebinding-protection', 'caching', 'input-required-result-unsupported-methods',
    'http-header-validation'],
};

before(async () => {
  servers.fixture = await startHttp(process.env.RGT_CONFORMANCE_SERVER, ['--port', '0']);
  servers.rgt = await startRgt(home.env);
});

after(async () => {
  const ends = await Promise.all(Object.values(servers).map((server) => server.stop()));
  home.remove();
  for (const end of ends) assert.deepEqual([end.code, end.signal], [0, null], end.errors);
});

function run(url, ...args) {
  const folder = mkdtempSync(join(tmpdir(), 'rgt-conformance-'));
  return new Promise((resolve) => {
    execFile(process.execPath, [suite, 'server', '--url', url, ...args, '-o', folder],
      { encoding: 'utf8', maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        const scenarios = new Map();
        for (const name of readdirSync(folder)) {
          const checks = JSON.parse(readFileSync(join(folder, name, 'checks.json'), 'utf8'));
          scenarios.set(name.replace(/^server-/, '').replace(/-\d{4}-\d{2}-\d{2}T.*$/, ''), checks);
        }
        rmSync(folder, { recursive: true, force: true });
        resolve({ code: error?.code ?? 0, output: stdout + stderr, scenarios });
      });
  });
}

// A scenario counts as passed only if something was checked in it and all of it held, warnings included.
function unmet(checks) {
  return checks.filter((check) => !['SUCCESS', 'INFO', 'SKIPPED'].includes(check.status))
    .map((check) => `${check.status} ${check.id}: ${check.errorMessage ?? check.description}`);
}

for (const [revision, count, beside] of [['2025-11-25', 30, 3], ['2026-07-28', 37, 13]]) {
  test(`the fixture server passes all that ${revision} requires, and all else that is run for it`, async () => {
    const { code, output, scenarios } = await run(servers.fixture.url, '--requirements', revision);
    const problems = [...scenarios].flatMap(([name, checks]) => unmet(checks).map((one) => `${name}: ${one}`));
    assert.deepEqual(problems, [], output);
    assert.equal(code, 0, output);
    assert.equal(scenarios.size, count + beside, [...scenarios.keys()].join(' '));
    const empty = [...scenarios].filter(([, checks]) => !checks.some((check) => check.status === 'SUCCESS')).map(([name]) => name);
    // The suite itself skips this one in every run; tests/server/mcp/stateless_test.cc has what it would check.
    assert.deepEqual(empty.filter((name) => name !== 'tasks-status-notifications'), []);
  });

  for (const scenario of generic[revision]) {
    test(`rgt serve --http passes ${scenario} of ${revision}`, async () => {
      const { code, output, scenarios } = await run(servers.rgt.url, '--scenario', scenario, '--spec-version', revision);
      assert.equal(scenarios.size, 1, output);
      const checks = [...scenarios.values()][0];
      assert.deepEqual(unmet(checks), [], output);
      assert.ok(checks.some((check) => check.status === 'SUCCESS'), output);
      assert.equal(code, 0, output);
    });
  }
}
