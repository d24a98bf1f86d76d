// odd-shapes.test.ts: flags and segments that are well formed enough to be passed on, and odd enough to trip an evaluator (I13).

import { launchDarkly } from '@offswitch/launchdarkly';
import { contractSwitches, waitUntil, watchHost } from '@offswitch/testing';
import { openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { expect, test } from 'vitest';
import { sdks } from './harness.ts';

const user = contractSwitches.user!;
const instance = contractSwitches.instance!;

const odd: readonly object[] = [
  { rules: [{ clauses: null }] },
  { rules: [{}] },
  { rules: [{ variation: 0, clauses: [{ values: ['u-1'] }] }] },
  { rules: [{ variation: 0, clauses: [{ op: 7, attribute: '', values: [null] }] }] },
  { rules: [{ variation: 0, clauses: [{ op: 'matches', attribute: 'key', values: ['('] }] }] },
  { rules: [{ variation: 99, clauses: [] }] },
  { rules: [{ rollout: {}, clauses: [] }] },
  { rules: [{ rollout: { variations: null }, clauses: [] }] },
  { rules: [{ variation: 0, clauses: [{ op: 'segmentMatch', attribute: '', values: [7, null, 'none'] }] }] },
  { fallthrough: null },
  { fallthrough: { rollout: { variations: [null] } } },
  { targets: null, contextTargets: null },
  { targets: [{ values: [null, {}], variation: 'x' }] },
  { contextTargets: [{ contextKind: 7, values: [], variation: 0 }] },
  { prerequisites: [{}] },
  { prerequisites: [{ key: {}, variation: 0 }] },
  { variations: [null, {}] },
  { offVariation: 'x', on: false },
  { salt: 7, debugEventsUntilDate: 'x', trackEvents: 'x' },
];

test.each(['9', '7'] as const)(
  'SDK %s: none crashes the host, engages anybody, or is more than unknown where it cannot be told',
  async (version) => {
    const host = watchHost();
    const server = await openLaunchDarklyServer();
    const { url, sdkKey } = server;
    const source = launchDarkly({
      sdkKey,
      sdk: sdks[version],
      baseUri: url,
      streamUri: url,
      eventsUri: url,
      pollMs: Number.POSITIVE_INFINITY,
    });
    await source.open();
    const patch = (path: string, data: object) => server.send(`event: patch\ndata: ${JSON.stringify({ path, data })}\n\n`);
    let n = 100;
    for (const more of odd) {
      for (const { key } of [user, instance]) {
        const whole = { key, version: ++n, on: true, variations: [true, false], offVariation: 1, fallthrough: { variation: 1 } };
        patch(`/flags/${key}`, { ...whole, targets: [], rules: [], prerequisites: [], salt: 's', ...more });
      }
      patch('/segments/odd', { key: 'odd', version: ++n, salt: 's', ...('rules' in more ? { rules: more.rules } : {}) });
      patch('/flags/mark', { key: 'mark', version: ++n, on: true, variations: [true, false], fallthrough: { variation: 0 } });
      const mark = { ...user, key: 'mark', tier: 'global' as const };
      const seen = async () => {
        const reading = await source.read(mark, {});
        return reading.state !== 'unknown' && reading.position.n === n;
      };
      expect(await waitUntil(source, 4000, seen), JSON.stringify(more)).toBe(true);
      for (const flag of [user, instance]) {
        const reading = await source.read(flag, { userId: 'u-2', sessionId: 's-2' });
        expect(reading.state, JSON.stringify(more)).not.toBe('engaged');
        await source.resolve?.(flag.key, 'boolean', { targetingKey: 'u-2' });
      }
    }
    await source.close();
    await server.close();
    await host.end();
    expect(host.uncaught).toEqual([]);
  },
  30_000,
);
