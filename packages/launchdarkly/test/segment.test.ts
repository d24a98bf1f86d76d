// segment.test.ts: thousands of terminated sessions, in the segment that provisioning makes for them.

import { launchDarkly } from '@offswitch/launchdarkly';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { contractSwitches, waitUntil } from '@offswitch/testing';
import { openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { expect, test } from 'vitest';
import { sdks } from './harness.ts';

const instance = contractSwitches.instance!;

test.each([
  ['9', 10_000],
  ['9', 100_000],
  ['7', 10_000],
] as const)(
  'SDK %s with %i sessions listed: one more is stopped and taken out again, everybody else is as before (I7)',
  async (version, count) => {
    const server = await openLaunchDarklyServer();
    const { url, token, project, environment } = server;
    const control = launchDarklyControl({ token, project, environment, baseUrl: url });
    await control.provision(contractSwitches, { apply: true });
    const listed = Array.from({ length: count }, (_, i) => `s-${i}`);
    server.setSegment({
      ...server.segment('killswitch-sessions')!,
      includedContexts: [{ contextKind: 'session', values: listed }],
    });
    const source = launchDarkly({ sdkKey: server.sdkKey, sdk: sdks[version], baseUri: url, streamUri: url, eventsUri: url });
    await source.open();
    const state = async (sessionId: string): Promise<string> => (await source.read(instance, { sessionId })).state;
    for (const id of ['s-0', `s-${count - 1}`]) expect(await state(id)).toBe('engaged');
    expect(await state('mine')).toBe('released');

    const ns: number[] = [];
    for (const action of ['engage', 'release'] as const) {
      const wanted = action === 'engage' ? 'engaged' : 'released';
      await control[action]({ flag: instance, target: 'mine', reason: 'drill', by: 'ada' });
      expect(await waitUntil(source, 8000, async () => (await state('mine')) === wanted)).toBe(true);
      const reading = await source.read(instance, { sessionId: 'mine' });
      if (reading.state !== 'unknown') ns.push(reading.position.n ?? -1);
    }
    // The flag's own version did not move; the segment's did, and a release is later than its stop (S3).
    expect(ns[1]).toBeGreaterThan(ns[0]!);
    expect(await state('s-1')).toBe('engaged');
    expect(server.flag(instance.key)?.config.targets).toEqual([]);
    await source.close();
    await server.close();
  },
);
