// receipts-to-go-on.ts: what a process that starts needs of the receipts there are. Terminates are never released, so those that are
// done grow without end, and nothing is left to do in them.

import type { Receipt } from './receipt.ts';
import type { StopToGoOn } from './store.ts';

/** Out of all receipts, where reading them all is cheap. */
export function amongAll(receipts: readonly Receipt[], stops: readonly StopToGoOn[]): ReadonlyMap<string, Receipt | undefined> {
  const written = new Map(receipts.map((one) => [one.id, one]));
  return new Map(
    stops
      .filter(({ id, isForGood }) => !isForGood || written.get(id)?.stages.done === undefined)
      .map(({ id }) => [id, written.get(id)]),
  );
}
