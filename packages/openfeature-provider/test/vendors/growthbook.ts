// growthbook.ts: the community's OpenFeature provider for GrowthBook over the scripted GrowthBook.
//
// The provider may take either build of the SDK, by who imports it, and each build has an EventSource only where it was given one:
// an application's `import { setPolyfills }` may reach the other one.

import { createRequire } from 'node:module';
import { setPolyfills } from '@growthbook/growthbook';
import { type FeatureDefinition, startGrowthBookServer } from '@offswitch/testing/growthbook';
import { GrowthbookProvider } from '@openfeature/growthbook-provider';
import { EventSource } from 'eventsource';
import { attributeOf, type Vendor } from './world.ts';

const other = createRequire(import.meta.url)('@growthbook/growthbook') as { readonly setPolyfills: typeof setPolyfills };
for (const give of [setPolyfills, other.setPolyfills]) give({ EventSource });

export async function growthBookVendor(): Promise<Vendor> {
  const server = await startGrowthBookServer({ pingEveryMs: 100 });
  let first: unknown;
  const kept = new Map<string, FeatureDefinition | undefined>();
  const set = (key: string, definition: FeatureDefinition | undefined): void => {
    server.setFeature(key, definition);
  };
  return {
    port: server.port,
    unknown: server.unknown,
    put(flag, stored) {
      if (!stored) {
        set(flag.key, undefined);
        return;
      }
      const { everybody, targets, isText } = stored;
      if (everybody || targets.length > 0) first ??= server.payload();
      const [on, off] = isText ? ['engaged', 'released'] : [flag.engagedWhen, !flag.engagedWhen];
      const definition = {
        defaultValue: everybody ? on : off,
        rules: targets.length === 0 ? [] : [{ condition: { [attributeOf(flag)]: { $in: [...targets] } }, force: on }],
      };
      kept.set(flag.key, definition);
      set(flag.key, definition);
    },
    putOther(key, { value, targeted }) {
      const rules = targeted ? [{ condition: { targetingKey: targeted.targetingKey }, force: targeted.value }] : [];
      set(key, JSON.parse(JSON.stringify({ defaultValue: value, rules })));
    },
    fault: (fault) => server.fault(fault),
    // Its SDK takes longer than a test to open a stream again.
    lose: (isLost) => server.streams.freeze(isLost),
    archive: (flag, isArchived) => set(flag.key, isArchived ? undefined : kept.get(flag.key)),
    serveOlder(isOn) {
      server.override(isOn ? first : undefined);
      server.push();
    },
    again: () => server.push(),
    reversed(changes) {
      server.streams.freeze(true);
      const earlier = JSON.stringify(server.payload());
      changes();
      server.streams.freeze(false);
      server.push();
      server.push(earlier);
    },
    provider: (url) =>
      new GrowthbookProvider({ apiHost: url, clientKey: server.clientKey }, { timeout: 1000, streaming: true, skipCache: true }),
    async streaming() {
      // What changes between the provider's first fetch and the opening of its stream is lost for good.
      const endsAt = performance.now() + 10_000;
      while (server.streams.count === 0 && performance.now() < endsAt) await new Promise((next) => setTimeout(next, 5));
    },
    close: () => server.close(),
  };
}
