// whole.ts: reads all stops and all words of people, in pages: there may be tens of thousands, and Redis does nothing else
// while it answers one of us.

import { RuntimeError } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';
import { type MarksRead, marksOf } from './stops.ts';

/** Fields looked at in one answer, about a millisecond of the server. */
const together = 1_000;

export interface Whole extends MarksRead {
  readonly words: readonly (readonly [field: string, text: string])[];
}

/**
 * `head`: what the server answered to `sync` or `join` just before. Everything that was there then is in it, and some of what came later; that is told
 * through the stream too. Rejects where the server was restarted meanwhile: its pages are others then, and some would be missing.
 */
export async function readWhole(wire: Wire, prefix: string, head: readonly Reply[]): Promise<Whole> {
  const [stops, words] = await Promise.all([
    fieldsOf(wire, `${prefix}:{ctl}:stops`),
    fieldsOf(wire, `${prefix}:{ctl}:resolutions`),
  ]);
  const [id, , , life] = (await wire.fn('sync')) as readonly Reply[];
  if (id !== head[0] || life !== head[3]) throw new RuntimeError('store_failed', 'Redis was restarted while everything was read');
  return { ...marksOf(stops), words: pairs(words) };
}

async function fieldsOf(wire: Wire, key: string): Promise<readonly Reply[]> {
  const all: Reply[] = [];
  let from = '0';
  do {
    const [next, fields] = (await wire.call(['HSCAN', key, from, 'COUNT', String(together)])) as readonly [
      string,
      readonly Reply[],
    ];
    for (const one of fields) all.push(one);
    from = next;
  } while (from !== '0');
  return all;
}
