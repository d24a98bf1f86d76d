// Whoever waits in this process for the end of a session that another process has taken over, where that has ended there.

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, tellingStore, world } from './world.ts';

/** A root and its sub-agent that were taken over, and what whoever waits for them was told. */
async function taken() {
  const { store, tell } = tellingStore();
  Object.assign(store.lineage, { registersAll: true });
  const { runtime, clock } = await world({ store });
  const child = runtime.agent('child', (session: Session) => session.turn(() => new Promise<never>(() => {})));
  const { id } = runtime
    .agent('alpha', (session: Session) => session.turn((turn) => turn.spawn(child, undefined)))
    .start(undefined);
  await settle(clock);
  const childId = runtime.sessions().find(({ agent }) => agent === 'child')!.id;
  const told: string[] = [];
  for (const [name, session] of Object.entries({ root: id, child: childId }))
    void runtime.settled(session).then(
      ({ status }) => told.push(`${name} ${status}`),
      (error) => told.push(`${name} ${error.code}`),
    );
  return { runtime, store, clock, id, childId, told, takeOver: () => tell({ takenOver: [id] }) };
}

describe('whoever waits for a session that was taken over and has ended there', () => {
  test('is told the end of each, as its records have it', async () => {
    const { runtime, store, clock, id, childId, told, takeOver } = await taken();
    const at = (s: string) => ({ t: 'settled', s, e: 2, at: 9, status: 'completed' }) as const;
    store.lineage.ended = async (s) => at(s);
    store.lineage.ends = async (_, all) => new Map(all.map((s) => [s, at(s)]));
    takeOver();
    await settle(clock, 60_000);
    expect(told.sort()).toEqual(['child completed', 'root completed']);
    expect([runtime.session(id), runtime.session(childId)]).toEqual([undefined, undefined]);
  });

  test('is told it also where the wait began while the store was answering for others', async () => {
    const { store, tell } = tellingStore();
    Object.assign(store.lineage, { registersAll: true });
    const { runtime, clock } = await world({ store });
    const { id } = runtime
      .agent('alpha', (session: Session) => session.turn(() => new Promise<never>(() => {})))
      .start(undefined);
    await settle(clock);
    const at = (s: string) => ({ t: 'settled', s, e: 2, at: 9, status: 'completed' }) as const;
    const answer = deferred();
    store.lineage.ended = async (s) => at(s);
    store.lineage.ends = async (_, all) => {
      await answer.promise;
      return new Map(all.map((s) => [s, at(s)]));
    };
    tell({ takenOver: [id] });
    await settle(clock, 6_000);
    const told = runtime.settled(id).then(
      ({ status }) => status,
      (error) => error.code,
    );
    answer.resolve();
    await settle(clock, 60_000);
    expect(await told).toBe('completed');
    expect(runtime.session(id)).toBeUndefined();
  });

  test.each([
    ['records were cleared away', undefined],
    ['process died before a word of it was written', 'failed'],
  ] as const)('is told that nobody knows how, where its %s', async (_, state) => {
    const { runtime, store, clock, id, told, takeOver } = await taken();
    const found = await store.lineage.find(id, id);
    store.lineage.ended = async () => undefined;
    store.lineage.ends = async () => new Map();
    store.lineage.find = async () => (state ? { ...found!, state, process: 'other' } : undefined);
    takeOver();
    await settle(clock, 60_000);
    expect(told.sort()).toEqual(['child unknown_session', 'root unknown_session']);
    expect(runtime.session(id)).toBeUndefined();
  });
});
