// confirm.ts: asks who has taken a stop in until all have, or nobody can be waited for any longer. Asked again when the last of
// them says so, and every now and then, since that word may be lost and a lease runs out in silence.

import type { Confirmation, StoreProcess } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { parsed } from './unreadable.ts';

const againAfterMs = 25;
/** Beyond the lease: what the asking itself takes. */
const slackMs = 250;

export interface ConfirmingOptions {
  readonly wire: Wire;
  readonly process: string;
  readonly leaseMs: number;
}

export class Confirming {
  private readonly options: ConfirmingOptions;
  private told!: Promise<void>;
  private tell: () => void = () => {};

  constructor(options: ConfirmingOptions) {
    this.options = options;
    this.haveAll();
  }

  /** The last process that was waited for has taken in what there was to be taken in. */
  haveAll(): void {
    this.tell();
    this.told = new Promise((resolve) => {
      this.tell = resolve;
    });
  }

  async confirm(key: string, engaged: number): Promise<Confirmation> {
    const { wire, process, leaseMs } = this.options;
    const endsAt = performance.now() + leaseMs * 1.05 + slackMs;
    for (;;) {
      // Before it is asked: the word may come before the answer does.
      const { told } = this;
      const [id, ...others] = (await wire.fn('confirm', [process, key, engaged])) as unknown as [string, ...Answer[]];
      if (id === '')
        return {
          confirmed: [],
          runners: [],
          unconfirmed: [`the store does not hold ${key} at ${engaged}, so no other process can have heard of it`],
        };
      const waits = others.filter(([, state]) => state === 'waits');
      if (waits.length > 0 && performance.now() < endsAt) {
        await atMost(told, againAfterMs);
        continue;
      }
      return {
        confirmed: others.filter(([, state]) => state !== 'waits').map(([one]) => one),
        runners: others.filter(([, state, , info]) => state === 'took' && runsSessions(info)).map(([one]) => one),
        unconfirmed: waits.map(
          ([one, , left, info]) => `process ${one} (${nameIn(info)}) has not taken it in; its lease runs for another ${left} ms`,
        ),
      };
    }
  }
}

function atMost(promise: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void promise.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

type Answer = readonly [process: string, state: 'took' | 'waits' | 'lapsed', left: string, info: string];

export function processesIn(reply: Reply): (StoreProcess & { readonly runsSessions: boolean })[] {
  return (reply as unknown as readonly (readonly [string, number, string])[]).map(([id, alive, info]) => ({
    id,
    name: nameIn(info),
    isAlive: alive === 1,
    runsSessions: runsSessions(info),
  }));
}

function runsSessions(info: string): boolean {
  return parsed<{ readonly runsSessions: boolean }>(info, (one) => one.runsSessions === true) !== undefined;
}

function nameIn(info: string): string {
  return parsed<{ readonly name: string }>(info, ({ name }) => typeof name === 'string')?.name ?? 'unnamed';
}
