// delegate.test.ts: where a call that delegates asks for its sub-agent.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { memorySource } from '@offswitch/testing';
import { createRuntime, memoryStore, newPathKey, pathKeysFromEnv } from 'offswitch';
import { afterEach, describe, expect, test } from 'vitest';
import { delegateTo } from '../src/processes/delegate.ts';
import { switches } from '../src/switches.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function door(status: number, body: object, onAsked: () => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    onAsked();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('a call that delegates, of a process that took its session over', () => {
  test('asks at its own door too, after the others: what it had started there is nowhere else (I14)', async () => {
    const asked: string[] = [];
    const elsewhere = await door(409, { code: 'session_elsewhere' }, () => asked.push('other'));
    const own = await door(200, { status: 'completed', text: 'helped' }, () => asked.push('own'));
    const delegate = delegateTo(() => [elsewhere], [own]);
    const runtime = await createRuntime({
      switches,
      source: memorySource(switches),
      store: memoryStore(),
      pathKeys: pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() }),
    });
    const task = { documentId: 'r-ann', claim: 'can weld' };
    const agent = runtime.agent('batch-scoring', (session) =>
      session.turn((turn) => turn.tool('ask', task, () => delegate('scorer', task, undefined), { delegates: true })),
    );
    expect(await agent.run(undefined)).toMatchObject({ status: 'completed', result: 'helped' });
    expect(asked).toEqual(['other', 'own']);
    await runtime.close();
  });
});
