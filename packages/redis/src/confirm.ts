// confirm.ts: asks who has taken a stop in until all have, or nobody can be waited for any longer. The last of them says so; asked again
// every now and then, since that word may be lost and a lease runs out in silence.

import type { Confirmation, StoreProcess } from '@offswitch/runtime';
import { atMost } from './at-most.ts';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { compareIds } from './stream-id.ts';
import { parsed } from './unreadable.ts';

const againAfterMs = 25;
/** Beyond the lease: what the asking itself takes. */
const slackMs = 250;

export interface ConfirmingOptions {
  readonly wire: Wire;
  readonly process: string;
  readonly leaseMs: number;
}

/** Word that everybody who lives has taken in what there was at an id of the control stream. */
export interface AllHave {
  readonly id: string;
  /** Of the server (lua/shared.ts), in which this was so: an inbox is read again when it was restarted, and ids may be given out again. */
  readonly life: string;
  readonly living: ReadonlySet<string>;
}

export class Confirming {
  private readonly options: ConfirmingOptions;
  private next = oneWord();

  constructor(options: ConfirmingOptions) {
    this.options = options;
  }

  /** The last process that was waited for has taken in what there was to be taken in. */
  haveAll(word: AllHave): void {
    this.next.tell(word);
    this.next = oneWord();
  }

  async confirm(key: string, engaged: number): Promise<Confirmation> {
    const { wire, process, leaseMs } = this.options;
    const endsAt = performance.now() + leaseMs * 1.05 + slackMs;
    for (;;) {
      // Before it is asked: the word may come before the answer does.
      const { word } = this.next;
      let [id, life, ...others] = (await wire.fn('confirm', [process, key, engaged])) as unknown as [string, string, ...Answer[]];
      if (id === '')
        return {
          confirmed: [],
          runners: [],
          unconfirmed: [`the store does not hold ${key} at ${engaged}, so no other process can have heard of it`],
        };
      if (others.some(isWaiting) && performance.now() < endsAt) {
        const all = await atMost(word, againAfterMs);
        if (!all || all.life !== life || compareIds(all.id, id) < 0) continue;
        others = others.map((one) =>
          isWaiting(one) ? [one[0], all.living.has(one[0]) ? 'took' : 'lapsed', one[2], one[3]] : one,
        );
      }
      const waits = others.filter(isWaiting);
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

function oneWord(): { readonly word: Promise<AllHave>; readonly tell: (word: AllHave) => void } {
  let tell: (word: AllHave) => void = () => {};
  const word = new Promise<AllHave>((resolve) => {
    tell = resolve;
  });
  return { word, tell };
}

function isWaiting([, state]: Answer): boolean {
  return state === 'waits';
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
