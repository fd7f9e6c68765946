// SPDX-License-Identifier: MIT
// A server as most people write one, on the TypeScript SDK, for bench/measure.sh to stand beside rgt: one tool that
// answers at once. `--http` serves on a free port and prints its URL; else stdio.
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { z } from 'zod';

function server() {
  const mcp = new McpServer({ name: 'reference', version: '1' });
  mcp.registerTool('lookup', { description: 'answers at once', inputSchema: { query: z.string() } },
    async ({ query }) => ({ content: [{ type: 'text', text: `nothing about ${query}` }] }));
  return mcp;
}

if (process.argv.includes('--http')) {
  const sessions = new Map();
  const app = express();
  app.use(express.json());
  app.all('/mcp', async (request, response) => {
    let transport = sessions.get(request.headers['mcp-session-id']);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID, enableJsonResponse: true,  // its faster way
        onsessioninitialized: (id) => sessions.set(id, transport),
      });
      await server().connect(transport);
    }
    await transport.handleRequest(request, response, request.body);
  });
  const listening = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${listening.address().port}/mcp`));
} else {
  await server().connect(new StdioServerTransport());
}
