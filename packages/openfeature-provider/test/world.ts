// world.ts: the parts every test of this package needs: declared switches, domains nobody else uses, and a quiet SDK.

import { defineKillSwitches, type KillSwitches, type SwitchSource } from '@offswitch/core';
import { type Client, OpenFeature, type Provider } from '@openfeature/server-sdk';

export const switches: KillSwitches<'resume-rewrite' | 'batch-scoring'> = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: {
    'resume-rewrite': { authorized: ['on-call'] },
    'batch-scoring': { authorized: ['on-call'], engagedWhen: false },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

/** The SDK logs what it swallows; the tests look at what comes out instead. */
export function quiet(): void {
  const nothing = (): void => undefined;
  OpenFeature.setLogger({ error: nothing, warn: nothing, info: nothing, debug: nothing });
}

let count = 0;
export function freshDomain(): string {
  return `test-${++count}`;
}

/** Binds a provider to a domain of its own and waits until it is settled. */
export async function bound(provider: Provider): Promise<Client> {
  const domain = freshDomain();
  await OpenFeature.setProviderAndWait(domain, provider).catch(() => undefined);
  return OpenFeature.getClient(domain);
}

/** Lets everything that is due run: microtasks, then the immediates queued before this. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A source as it is, with some of its members replaced. */
export function withParts(source: SwitchSource, parts: Partial<SwitchSource>): SwitchSource {
  return {
    name: source.name,
    open: () => source.open(),
    read: (flag, subject) => source.read(flag, subject),
    get health() {
      return source.health;
    },
    subscribe: (listener) => source.subscribe(listener),
    close: () => source.close(),
    ...parts,
  };
}
