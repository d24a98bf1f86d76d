// over-mcp.ts: level 3 over MCP: a tool of an MCP server, in a process of its own, that has a sub-agent work for the agent that calls it; a
// stop of the first reaches the second. Both run this file. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl, folderStore, newPathKey } from 'offswitch';
import { z } from 'zod';
import { givenFolder } from './given.ts';
import { until } from './until.ts';

process.env.OFFSWITCH_PATH_KEYS ??= newPathKey();
const served = givenFolder();
const folder = served ?? mkdtempSync(join(tmpdir(), 'offswitch-over-mcp-'));
const said = join(folder, 'calls');
const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] }, research: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
const flags = join(folder, 'switches.flagd.json');
await flagFileControl(flags).provision(switches, { apply: true });
const runtime = await createRuntime({ switches, source: flagFile(flags), store: folderStore(join(folder, '.offswitch')) });
if (served === undefined) await call();
else await serve();

async function serve(): Promise<void> {
  const callModel = async (topic: string): Promise<void> => {
    appendFileSync(said, `${topic}\n`);
    await sleep(5);
  };
  const research = runtime.agent('research', async (session, topic: string) => {
    for (;;) await session.turn((turn) => turn.model('small', () => callModel(topic)));
  });
  const server = new McpServer({ name: 'research', version: '1.0.0' });
  // #region serve
  server.registerTool('research', { inputSchema: { topic: z.string() } }, async ({ topic }, extra) => {
    const outcome = await research.run(topic, { parent: await runtime.accept(extra) }); // a child of the session that called
    return { content: [{ type: 'text', text: outcome.status === 'completed' ? String(outcome.result) : outcome.status }] };
  });
  // #endregion
  await server.connect(new StdioServerTransport());
  process.stdin.once('close', () => void runtime.close().then(() => process.exit()));
}

async function call(): Promise<void> {
  const client = new Client({ name: 'newsletter', version: '1.0.0' });
  const args = [fileURLToPath(import.meta.url), folder];
  const env = { OFFSWITCH_PATH_KEYS: process.env.OFFSWITCH_PATH_KEYS! }; // this transport hands on little of the environment
  await client.connect(new StdioClientTransport({ command: process.execPath, args, env }));
  const refused = await client.callTool({ name: 'research', arguments: { topic: 'newts' } });
  assert.match(JSON.stringify(refused), /path_missing.*"isError":true/, 'a call without a path is refused');
  const calls = (): number => (existsSync(said) ? readFileSync(said, 'utf8').split('\n').length - 1 : 0);
  assert.equal(calls(), 0);

  // #region call
  const newsletter = runtime.agent('newsletter', (session) =>
    session.turn((turn) =>
      turn.tool(
        'research',
        { topic: 'newts' },
        async (input, { signal }) => {
          const { meta } = await session.carry();
          const timeout = 86_400_000; // a sub-agent may rest for long; the SDK's own is a minute
          return client.callTool({ name: 'research', arguments: input, _meta: { ...meta } }, undefined, { signal, timeout });
        },
        { delegates: true },
      ),
    ),
  );
  // #endregion
  const run = newsletter.start(undefined, { userId: 'u-ada' });
  await until('calls in the other process', () => calls() > 3);
  const { id, stages } = await runtime.stop({ session: run.id, reason: 'runaway', by: 'on-call' });
  assert.ok(stages.fenced, 'nothing new starts, in either process');
  const before = calls();
  await sleep(100);
  assert.equal(calls(), before, 'no call of the other process after the fence');
  assert.equal((await run.outcome).status, 'terminated');
  await until('one receipt of both', async () => {
    const receipt = (await runtime.receipts()).find((one) => one.id === id);
    return receipt?.sessions.length === 2 && receipt.stages.done !== undefined;
  });
  console.log(`over-mcp: a stop of one session ended two, in two processes, after ${before} calls; one receipt names both`);
  await client.close();
  await runtime.close();
  rmSync(folder, { recursive: true });
}
