// path-door.test.ts: the door of a real runtime and of a real gate: what goes wrong with an arrival is answered, wherever it shows; what is
// the application's own is not.

import { type Arrival, acceptRequest, type Gate, newPathKey, openGate, pathKeysFromEnv, RuntimeError } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type TestWorld, type Workflows, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });
const hanging = (): Promise<never> => new Promise(() => {});
const failing = (): Promise<never> => Promise.reject(new RuntimeError('store_failed', 'redis://inside does not answer'));

/** A session whose call delegates, as a request that carries its path; how to end it; and other processes over the same store. */
async function caller(beside?: TestWorld) {
  const sharing = (of: TestWorld) => world({ pathKeys, store: of.store.share(), clock: of.clock, source: of.source as never });
  const one = await (beside ? sharing(beside) : world({ pathKeys }));
  let headers: Readonly<Record<string, string>> = {};
  const end = deferred();
  const agent = one.runtime.agent('alpha', (session) =>
    session.turn((turn) =>
      turn.tool(
        'ask',
        {},
        async () => {
          ({ headers } = await session.carry());
          await end.promise;
        },
        { delegates: true },
      ),
    ),
  );
  const { outcome } = agent.start(undefined);
  await settle(one.clock);
  const request = () => new Request('http://agents.test/', { method: 'POST', headers });
  const ended = async () => {
    end.resolve();
    await settle(one.clock);
    await outcome;
  };
  return { one, request, ended, another: () => sharing(one) };
}

/** `meanwhile` happens once the path was accepted, and before anything begins under it. */
function runDoor(two: TestWorld, meanwhile: () => unknown = () => {}, body: () => Promise<unknown> = async () => 'helped') {
  const agent = two.runtime.agent('helper', body);
  const told: string[] = [];
  const handle = acceptRequest(
    (headers) => two.runtime.accept(headers),
    async (_, parent) => {
      await meanwhile();
      return Response.json((await agent.run(undefined, { parent })).status);
    },
    { onRefused: ({ code }) => told.push(code) },
  );
  return { handle, told };
}

async function gateDoor(store: TestWorld['store'], clock: TestWorld['clock'], meanwhile: (gate: Gate) => unknown = () => {}) {
  const source = memorySource(switches);
  const gate = await openGate<Workflows>({ switches, source, store, clock, pathKeys, onAlarm: () => {} });
  let sessions = 0;
  const told: string[] = [];
  const handle = acceptRequest(
    (headers) => gate.accept(headers),
    async (_, parent) => {
      await meanwhile(gate as Gate);
      const { action } = await gate.decide({ workflow: 'alpha', sessionId: `s-${++sessions}`, parent });
      return Response.json(action);
    },
    { onRefused: ({ code }) => told.push(code) },
  );
  return { handle, told };
}

const answer = async (response: Response) => [response.status, ((await response.json()) as { code?: string }).code];

describe('the door of a runtime', () => {
  test('answers a retry that comes to another instance while the first has what the call started: 409, and the first goes on', async () => {
    const { one, request, another } = await caller();
    const [first, second] = [runDoor(await another(), () => {}, hanging), runDoor(await another())];
    void first.handle(request());
    await settle(one.clock);
    expect(await answer(await second.handle(request()))).toEqual([409, 'session_elsewhere']);
    expect(second.told).toEqual(['session_elsewhere']);
  });

  test.each([
    ['the path is good no more', 401, 'path_expired'],
    ['the root has ended', 410, 'root_settled'],
    ['the runtime is closed', 503, 'closed'],
    ['the store is away', 503, 'store_failed'],
  ] as const)('answers an arrival where %s by when the agent begins: %d (S2, I14)', async (_, status, code) => {
    const { one, request, ended, another } = await caller();
    const two = await another();
    const { handle, told } = runDoor(two, () => {
      if (code === 'path_expired') return one.clock.advance(600_001);
      if (code === 'root_settled') return ended();
      if (code === 'closed') return two.runtime.close();
      two.store.lineage.register = failing;
      return undefined;
    });
    const response = await handle(request());
    const text = await response.clone().text();
    expect(await answer(response)).toEqual([status, code]);
    expect(text).not.toContain('inside');
    expect(told).toEqual([code]);
  });

  test('answers while the store is away, so that no request ends its process: 503 (I14)', async () => {
    const { request, another } = await caller();
    const two = await another();
    two.store.lineage.find = failing;
    const { handle } = runDoor(two);
    expect(await answer(await handle(request()))).toEqual([503, 'store_failed']);
  });

  test('leaves to the application what its handler throws, of another arrival or of no arrival at all', async () => {
    const { one, request, another } = await caller();
    const two = await another();
    const agent = two.runtime.agent('helper', async () => 'helped');
    const other = await caller(one);
    const elsewhere: Arrival = await two.runtime.accept(other.request());
    await other.ended();
    const handle = acceptRequest(
      (headers) => two.runtime.accept(headers),
      () => agent.run(undefined, { parent: elsewhere }).then(() => new Response()),
    );
    await expect(handle(request())).rejects.toMatchObject({ code: 'root_settled' });
    const failed = acceptRequest((headers) => two.runtime.accept(headers), failing);
    await expect(failed(request())).rejects.toMatchObject({ code: 'store_failed' });
  });
});

describe('the door of a gate', () => {
  test.each([
    ['another session has begun under its call', 409, 'session_elsewhere'],
    ['the path is good no more', 401, 'path_expired'],
    ['the root has ended', 410, 'root_settled'],
    ['the gate is closed', 503, 'closed'],
  ] as const)('answers an arrival where %s by when it decides: %d (S2)', async (_, status, code) => {
    const { one, request, ended } = await caller();
    const { handle, told } = await gateDoor(one.store.share(), one.clock, (gate) => {
      if (code === 'path_expired') return one.clock.advance(600_001);
      if (code === 'root_settled') return ended();
      if (code === 'closed') return gate.close();
      return undefined;
    });
    if (code === 'session_elsewhere') expect(await (await handle(request())).json()).toBe('run');
    expect(await answer(await handle(request()))).toEqual([status, code]);
    expect(told).toEqual([code]);
  });
});
