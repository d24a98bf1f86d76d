// client-source.ts: switches read from a client of the application alone, which says nothing of its connection.
//
// Neither SDK tells from outside whether its stream lives. So nothing read here is called live: it stops, it permits, and a stop
// is released by act. It exists so that a team can start with what it has; with `sdkKey` beside the client all of that goes away.

import { type Reading, type SourceHealth, type Subject, type SwitchFlag, type SwitchSource, unknown } from '@offswitch/core';
import { contextOf } from './context.ts';
import { readingOf } from './evaluate.ts';
import { createListeners } from './listeners.ts';
import type { Settled } from './options.ts';
import { resolveWith } from './resolve.ts';
import type { LdClient, LdReason } from './sdk.ts';
import { createUsage } from './usage.ts';

const unobserved =
  "the connection of the application's own client cannot be observed, so nothing it says is live; give `sdkKey` too";

/** How often a client that is not ready is looked at again. Milliseconds. */
const lookAgainMs = 50;

interface FlagState {
  readonly version?: number;
  readonly variation?: number;
  readonly reason?: LdReason;
}

export function clientSource(client: LdClient, settled: Settled): SwitchSource {
  const { series, location, now } = settled;
  const listeners = createListeners(location);
  const usage = createUsage(() => client, settled.reportUsageEveryMs);
  let health: SourceHealth = { state: 'starting', since: now(), why: 'the client is not initialized yet' };
  let isOpen = false;
  let looking: NodeJS.Timeout | undefined;
  let ready = (): void => {};

  const look = (): void => {
    if (health.state !== 'starting' || !client.initialized()) return;
    clearInterval(looking);
    health = { state: 'stale', since: now(), why: unobserved };
    ready();
    listeners.notify({});
  };
  const updated = (change: unknown): void => {
    const key = (change as { key?: unknown } | undefined)?.key;
    listeners.notify(typeof key === 'string' ? { flagsChanged: [key] } : {});
  };
  const answer = async (flag: SwitchFlag, subject: Subject): Promise<Reading> => {
    // The one call of both SDKs that evaluates and reports nothing, and that shows a flag's version.
    const all = await client.allFlagsState(contextOf(subject), { withReasons: true });
    const json = all.toJSON() as Readonly<Record<string, unknown>>;
    const states = json.$flagsState as Readonly<Record<string, FlagState>> | undefined;
    const state = states && Object.hasOwn(states, flag.key) ? states[flag.key] : undefined;
    if (!all.valid) return unknown('not-ready', `${location}: the client has no data`);
    if (!state) return unknown('not-found', `${location} has no flag ${flag.key}, or it is archived`);
    usage.note(flag.key);
    // The instance switch moves with its segment, whose version is not shown here.
    const { version } = state;
    const position = version === undefined || flag.tier === 'instance' ? { series } : { series, n: version };
    return readingOf(flag, { value: json[flag.key], variationIndex: state.variation, reason: state.reason }, 'cached', position);
  };

  return {
    name: 'launchdarkly',
    location,
    async open() {
      if (isOpen || health.state === 'closed') return;
      isOpen = true;
      client.on('update', updated);
      look();
      if (health.state !== 'starting') return;
      looking = setInterval(look, lookAgainMs);
      looking.unref();
      let giveUp: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        ready = resolve;
        giveUp = setTimeout(resolve, settled.openWithinMs);
      });
      clearTimeout(giveUp);
    },
    async read(flag, subject) {
      if (health.state === 'closed') return unknown('error', `${location}: the source is closed`);
      if (health.state === 'starting') return unknown('not-ready', `${location}: ${health.why}`);
      try {
        return await answer(flag, subject);
      } catch (error) {
        return unknown('error', `the evaluation of ${flag?.key} failed: ${String(error)}`);
      }
    },
    get health() {
      return health;
    },
    subscribe: (listener) => listeners.subscribe(listener),
    resolve: (flagKey, type, context) => resolveWith(client, flagKey, type, context),
    async close() {
      if (health.state === 'closed') return;
      health = { state: 'closed', since: now() };
      clearInterval(looking);
      ready();
      client.off('update', updated);
      listeners.clear();
    },
  };
}
