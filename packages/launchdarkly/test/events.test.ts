// events.test.ts: readings cost nothing at the vendor, and still a flag in use does not look abandoned there (S11).

import { launchDarkly } from '@offswitch/launchdarkly';
import { contractSwitches, waitUntil } from '@offswitch/testing';
import { openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { describe, expect, test } from 'vitest';
import { sdks } from './harness.ts';

const { global, user, instance } = contractSwitches;

describe.each(['9', '7'] as const)('reading switches with SDK %s', (version) => {
  test('reports no session, user or canary: one anonymous context in all, and one evaluation per flag (S11)', async () => {
    const server = await openLaunchDarklyServer();
    server.setFlag({ key: global.key });
    server.setFlag({ key: user!.key, on: true, fallthrough: 1 });
    server.setFlag({ key: instance!.key, on: true, fallthrough: 1 });
    const source = launchDarkly({
      sdkKey: server.sdkKey,
      sdk: sdks[version],
      baseUri: server.url,
      streamUri: server.url,
      eventsUri: server.url,
      sdkOptions: { flushInterval: 0.02 },
    });
    await source.open();
    for (let i = 0; i < 50; i++) {
      await source.read(global, {});
      await source.read(user!, { userId: `u-${i}` });
      await source.read(instance!, { sessionId: `offswitch-canary-${i}`, conversationId: 'c', workflow: 'w', userId: `u-${i}` });
    }
    const evaluated = (): string[] =>
      server.events.flatMap((event) => (event.kind === 'summary' ? Object.keys(event.features ?? {}) : []));
    expect(await waitUntil(source, 5000, () => new Set(evaluated()).size === 3)).toBe(true);
    await source.close();
    await server.close();
    expect(evaluated().sort()).toEqual([global.key, instance!.key, user!.key].sort());
    const contexts = server.events.filter((event) => event.kind === 'index').map((event) => event.context);
    expect(contexts).toEqual([{ kind: 'offswitch', key: 'offswitch', anonymous: true }]);
    expect(server.unknown).toEqual([]);
  });
});
