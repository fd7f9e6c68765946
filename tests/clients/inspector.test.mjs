// SPDX-License-Identifier: MIT
// The MCP Inspector's command line, as a person debugging would use it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const here = dirname(fileURLToPath(import.meta.url));

test('tools/list, a call, and the skill with its digests through the Inspector', () => {
  const home = mkdtempSync(join(tmpdir(), 'rgt-inspector-'));
  const inspect = (...args) => JSON.parse(execFileSync(process.execPath,
    [join(here, 'node_modules/.bin/mcp-inspector'), '--cli', process.env.RGT_BINARY, 'serve', ...args],
    { encoding: 'utf8', env: { ...process.env, HOME: home, RGT_STATE_DIR: join(home, 'state') }, timeout: 60000 }));
  try {
    assert.equal(inspect('--method', 'tools/list').tools.length, 7);
    const found = inspect('--method', 'tools/call', '--tool-name', 'lookup', '--tool-arg', 'query=U7');
    assert.equal(found.structuredContent.results[0].id, 'U7');
    // Reads every file of the skill, compares digest, size and frontmatter; a mismatch is exit 7, an unchecked file 8.
    for (const era of ['legacy', 'modern']) {
      const listed = inspect('--method', 'skills/list', '--verify', '--require-digests', '--protocol-era', era);
      assert.equal(listed.name, 'remote-gpu-trainer');
      assert.deepEqual([listed.conformance, listed.frontmatter], [[], []]);
      assert.ok(listed.files.length > 20);
      assert.deepEqual(listed.files.filter((file) => file.status !== 'verified'), []);
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
