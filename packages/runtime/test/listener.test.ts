// listener.test.ts: listeners are outside of what they are told about.

import { currentSession } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { settle, world } from './world.ts';

describe('a listener', () => {
  test('is called outside of the session it is told about, so that what it starts is no child of it (S2)', async () => {
    const { runtime, clock } = await world();
    const one = runtime.agent('alpha', (session) => session.turn(async () => currentSession()?.id));
    const other = runtime.agent('beta', async () => 'started by a listener');
    const inside: unknown[] = [];
    let second: string | undefined;
    runtime.subscribe(() => {
      inside.push(currentSession());
      second ??= other.start(undefined).id;
    });
    const first = await one.run(undefined);
    await settle(clock);
    expect(first).toMatchObject({ status: 'completed', result: first.session });
    expect(new Set(inside)).toEqual(new Set([undefined]));
    expect(second).toBeDefined();
  });
});
