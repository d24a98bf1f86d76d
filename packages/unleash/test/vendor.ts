// vendor.ts: an Unleash behind a source, scripted or real, as the contracts drive it: every flip goes through our own control.

import type { KillSwitches, SwitchFlag, SwitchSource } from '@offswitch/core';
import { contractSwitches, openFaultProxy, type SourceHarness, waitUntil } from '@offswitch/testing';
import { startUnleashServer, type UnleashServer, type UnleashServerOptions } from '@offswitch/testing/unleash';
import { type UnleashOptions, type UnleashSource, unleash } from '@offswitch/unleash';
import { type UnleashControl, unleashControl } from '@offswitch/unleash/control';

export const reason = 'contract';
export const by = 'suite';

/** Resolves when `holds` is true: now, or after one of the source's notices. The test's own time limit bounds it. */
export async function until(source: SwitchSource, holds: () => boolean): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve) => {
    const stop = source.subscribe(() => {
      if (!holds()) return;
      stop();
      resolve();
    });
  });
}

export function subjectOf(flag: SwitchFlag, target = 'nobody-in-particular') {
  switch (flag.tier) {
    case 'global':
      return {};
    case 'feature':
      return { workflow: flag.workflow! };
    case 'user':
      return { userId: target };
    case 'instance':
      return { sessionId: target };
  }
}

/** Quick, so that no test waits for a poll of production's length. */
export const quick = { pollMs: 15, staleAfterMs: 1000, requestTimeoutMs: 600, appName: 'contract' } as const;

export function flipper(source: UnleashSource, control: UnleashControl) {
  return async (action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void> => {
    await control[action]({ flag, reason, by, ...(target === undefined ? {} : { target }) });
    const wanted = action === 'engage' ? 'engaged' : 'released';
    await until(source, () => {
      const reading = source.read(flag, subjectOf(flag, target));
      return reading.state === wanted && reading.origin === 'live';
    });
  };
}

export interface Scripted {
  readonly server: UnleashServer;
  readonly control: UnleashControl;
  source(options?: Partial<UnleashOptions>): UnleashSource;
  close(): Promise<void>;
}

/** A scripted server, provisioned by our control. */
export async function scripted(switches: KillSwitches = contractSwitches, options: UnleashServerOptions = {}): Promise<Scripted> {
  const server = await startUnleashServer(options);
  const { url, token, adminToken, environment } = server;
  const control = unleashControl({ url, token: adminToken, environment });
  await control.provision(switches, { apply: true });
  const sources: UnleashSource[] = [];
  return {
    server,
    control,
    source(options = {}) {
      const one = unleash({ url, token, ...quick, ...options });
      sources.push(one);
      return one;
    },
    async close() {
      for (const one of sources) await one.close();
      await server.close();
      if (server.unknown.length > 0)
        throw new Error(`the scripted Unleash was asked for what it does not know: ${server.unknown.join(', ')}`);
    },
  };
}

export { openFaultProxy, type SourceHarness, waitUntil };
