// A source that is behind what an earlier process read of it.

import type { KillSwitches } from '@offswitch/core';
import { memorySource } from '@offswitch/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { settle, switches, world } from './world.ts';

afterEach(() => void vi.restoreAllMocks());

describe('switches that read from an older copy than an earlier process did', () => {
  test('are shown as such with an alarm, release nothing, and are as they were once the newer copy is back (S3, S13)', async () => {
    const first = await world();
    first.source.engage('killswitch.global');
    first.source.release('killswitch.global');
    first.source.engage('killswitch.global');
    // What was read is written down soon after it changed, and not a minute later.
    await settle(first.clock, 1_500);
    const older = memorySource(switches as KillSwitches, { now: first.clock.now });
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    const second = await first.restart({ source: older as never });
    await settle(second.clock);
    const alarms = () => said.mock.calls.map(([words]) => String(words)).filter((words) => words.includes(' copy'));
    const global = () => second.runtime.status().switches.find((one) => one.flag.tier === 'global')!;
    expect(global().message).toMatch(/reads at \d+, and was read at \d+ before: an older copy/);
    expect(alarms()).toHaveLength(1);
    const events: string[] = [];
    second.runtime.subscribe((event) => void (event.type === 'alarm' && events.push(event.message)));
    expect(second.runtime.stops()).toMatchObject([{ tier: 'global' }]);
    for (let i = 0; i < 4; i++) {
      older.engage('killswitch.global');
      older.release('killswitch.global');
    }
    await settle(second.clock);
    expect(global().message).toBeUndefined();
    expect(events).toEqual([expect.stringContaining('reads from the newest copy again')]);
    expect(second.runtime.stops()).toEqual([]);
  });

  test('raise no alarm in a process that starts with the newest copy', async () => {
    const first = await world();
    first.source.engage('killswitch.global');
    await settle(first.clock, 1_500);
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    const second = await first.restart();
    await settle(second.clock, 2_000);
    expect(said.mock.calls).toEqual([]);
  });
});
