// A child that is found again after a park, while the store refuses to let its epoch be claimed.

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, world } from './world.ts';

describe('a sub-agent whose claim the store refuses when its spawn finds it again', () => {
  test('is claimed once the store can, and its parent rests meanwhile and ends after it (I13, I14)', async () => {
    const first = await world();
    const gate = deferred();
    const log: string[] = [];
    const define = ({ runtime }: TestWorld) => {
      const child = runtime.agent('child', async (session: Session) => {
        await session.turn(() => gate.promise);
        await session.turn(async () => void log.push('child'));
      });
      return runtime.agent('alpha', async (session: Session) => {
        await session.turn(async (turn) => (await turn.spawn(child, undefined)).status);
        log.push('parent');
      });
    };
    const { id } = define(first).start(undefined);
    await settle(first.clock);
    const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
    first.source.engage('killswitch.global');
    gate.resolve();
    await settle(first.clock, 6_000);
    expect(first.runtime.session(id)?.state).toBe('parked');
    const { claim } = first.store;
    let refusals = 3;
    first.store.claim = (session, epoch) => {
      if (session === childId && refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    const end = first.runtime.settled(id);
    first.source.release('killswitch.global');
    await settle(first.clock, 10_000);
    expect(refusals).toBeLessThan(0);
    expect((await end).status).toBe('completed');
    expect(log).toEqual(['child', 'parent']);
  });
});
