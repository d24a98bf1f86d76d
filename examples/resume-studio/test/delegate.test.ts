// delegate.test.ts: where a call that delegates asks for its sub-agent.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { memorySource } from '@offswitch/testing';
import { createRuntime, memoryStore, newPathKey, pathKeysFromEnv } from 'offswitch';
import { afterEach, describe, expect, test } from 'vitest';
import { type Delegate, delegateTo } from '../src/processes/delegate.ts';
import { Doors } from '../src/processes/doors.ts';
import { switches } from '../src/switches.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** Without an answer it never gives one. */
async function door(
  answer: { readonly status: number; readonly body: object } | undefined,
  onAsked: () => void,
): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    onAsked();
    if (answer) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function doorsAt(...doors: readonly string[]): Doors {
  const all = new Doors();
  all.set(doors);
  return all;
}

const helped = { status: 200, body: { status: 'completed', text: 'helped' } };
const task = { documentId: 'r-ann', claim: 'can weld' };

/** One session that delegates, to its end. */
async function run(delegate: Delegate) {
  const runtime = await createRuntime({
    switches,
    source: memorySource(switches),
    store: memoryStore(),
    pathKeys: pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() }),
  });
  const agent = runtime.agent('batch-scoring', (session) =>
    session.turn((turn) => turn.tool('ask', task, () => delegate('scorer', task, undefined), { delegates: true })),
  );
  const outcome = await agent.run(undefined);
  await runtime.close();
  return outcome;
}

describe('a call that delegates, of a process that took its session over', () => {
  test('asks at its own door too, after the others: what it had started there is nowhere else (I14)', async () => {
    const asked: string[] = [];
    const elsewhere = await door({ status: 409, body: { code: 'session_elsewhere' } }, () => asked.push('other'));
    const own = await door(helped, () => asked.push('own'));
    const delegate = delegateTo(doorsAt(elsewhere), [own]);
    expect(await run(delegate)).toMatchObject({ status: 'completed', result: 'helped' });
    expect(asked).toEqual(['other', 'own']);
  });
});

describe('a call that delegates to a process that is gone before it answers', () => {
  test('asks another, also where nothing ever ends the request (I14)', async () => {
    const doors = new Doors();
    const another = await door(helped, () => {});
    const silent = await door(undefined, () => doors.set([another]));
    doors.set([silent, another]);
    expect(await run(delegateTo(doors))).toMatchObject({ status: 'completed', result: 'helped' });
  });
});
