// launchdarkly.ts: LaunchDarkly's own OpenFeature provider over the scripted LaunchDarkly.

import { LaunchDarklyProvider } from '@launchdarkly/openfeature-node-server';
import { openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { attributeOf, type Vendor } from './world.ts';

const quiet = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

export async function launchDarklyVendor(): Promise<Vendor> {
  const server = await openLaunchDarklyServer();
  let first: ReturnType<typeof server.snapshot> | undefined;
  let last = '';
  return {
    port: server.port,
    unknown: server.unknown,
    put(flag, stored) {
      last = flag.key;
      if (!stored) {
        server.removeFlag(flag.key);
        return;
      }
      const { everybody, targets, isText } = stored;
      // Before the first flip: what `serveOlder` goes back to.
      if (everybody || targets.length > 0) first ??= server.snapshot();
      server.setFlag({
        key: flag.key,
        variations: isText ? ['engaged', 'released'] : [flag.engagedWhen, !flag.engagedWhen],
        on: true,
        offVariation: 1,
        fallthrough: everybody ? 0 : 1,
        rules:
          targets.length === 0
            ? []
            : [{ clauses: [{ attribute: attributeOf(flag), op: 'in', values: targets, contextKind: 'user' }], variation: 0 }],
      });
    },
    putOther(key, { value, targeted }) {
      server.setFlag({
        key,
        variations: targeted ? [value, targeted.value] : [value],
        on: true,
        fallthrough: 0,
        offVariation: 0,
        ...(targeted ? { targets: [{ contextKind: 'user', values: [targeted.targetingKey], variation: 1 }] } : {}),
      });
    },
    fault: (fault) => server.fault(fault),
    lose: (isLost) => server.fault(isLost ? 'server-error' : undefined),
    archive: (flag, archived) => void server.changeFlag(flag.key, (one) => ({ ...one, archived })),
    serveOlder: (isOn) => server.serve(isOn ? first : undefined),
    again: () => server.resend(last),
    reversed(changes) {
      const flush = server.holdAndReverse();
      changes();
      flush();
    },
    provider: (url) =>
      new LaunchDarklyProvider(
        server.sdkKey,
        { baseUri: url, streamUri: url, sendEvents: false, diagnosticOptOut: true, logger: quiet },
        1,
      ),
    streaming: async () => {},
    close: () => server.close(),
  };
}
