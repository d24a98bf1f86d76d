// confirm.ts: asks who has taken a stop in, again and again, until all have or nobody can be waited for any longer.

import type { Confirmation, StoreProcess } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';

const waitsMs = [1, 1, 2, 4, 8, 16, 25];
/** Beyond the lease: what the asking itself takes. */
const slackMs = 250;

export async function confirm(wire: Wire, process: string, key: string, engaged: number, leaseMs: number): Promise<Confirmation> {
  const endsAt = performance.now() + leaseMs * 1.05 + slackMs;
  for (let turn = 0; ; turn++) {
    const [id, ...others] = (await wire.fn('confirm', [process, key, engaged])) as unknown as [string, ...Answer[]];
    if (id === '')
      return {
        confirmed: [],
        unconfirmed: [`the store does not hold ${key} at ${engaged}, so no other process can have heard of it`],
      };
    const waits = others.filter(([, state]) => state === 'waits');
    if (waits.length > 0 && performance.now() < endsAt) {
      await new Promise((resolve) => setTimeout(resolve, waitsMs[Math.min(turn, waitsMs.length - 1)]));
      continue;
    }
    return {
      confirmed: others.filter(([, state]) => state !== 'waits').map(([one]) => one),
      unconfirmed: waits.map(
        ([one, , left, info]) => `process ${one} (${nameIn(info)}) has not taken it in; its lease runs for another ${left} ms`,
      ),
    };
  }
}

type Answer = readonly [process: string, state: 'took' | 'waits' | 'lapsed', left: string, info: string];

export function processesIn(reply: Reply): StoreProcess[] {
  return (reply as unknown as readonly (readonly [string, number, string])[]).map(([id, alive, info]) => ({
    id,
    name: nameIn(info),
    isAlive: alive === 1,
  }));
}

function nameIn(info: string): string {
  return (JSON.parse(info) as { readonly name?: string }).name ?? 'unnamed';
}
