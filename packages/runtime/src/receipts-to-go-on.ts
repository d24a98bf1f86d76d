// receipts-to-go-on.ts: what a process that starts needs of the receipts there are. Terminates are never released, so those that are
// over grow without end, and nothing is left to do in them.

import type { Receipt } from './receipt.ts';
import { isOver } from './receipt-join.ts';
import type { StateStore, StopToGoOn } from './store.ts';

/** `olderId`: what its receipt would be called that was written by an older version. */
export interface StopToTakeUp extends StopToGoOn {
  readonly olderId: string | undefined;
}

/** By id. What goes by its older name goes on in a receipt of the present one. Rejects where the store cannot be read. */
export async function readToTakeUp(
  store: Pick<StateStore, 'receiptsToGoOn'>,
  stops: readonly StopToTakeUp[],
): Promise<ReadonlyMap<string, Receipt | undefined>> {
  const written = new Map(await store.receiptsToGoOn(stops.map(({ id, isForGood }) => ({ id, isForGood }))));
  const older = stops.flatMap(({ id, olderId, isForGood }) =>
    olderId !== undefined && written.has(id) && !written.get(id) ? [{ id: olderId, isForGood, now: id }] : [],
  );
  if (older.length === 0) return written;
  const found = await store.receiptsToGoOn(older.map(({ id, isForGood }) => ({ id, isForGood })));
  for (const { id, now } of older) {
    const receipt = found.get(id);
    if (receipt) written.set(now, { ...receipt, formerly: [...(receipt.formerly ?? []), id] });
    else if (!found.has(id)) written.delete(now);
  }
  return written;
}

/** Out of all receipts, where reading them all is cheap. */
export function amongAll(receipts: readonly Receipt[], stops: readonly StopToGoOn[]): ReadonlyMap<string, Receipt | undefined> {
  const written = new Map(receipts.map((one) => [one.id, one]));
  const goesOn = ({ id, isForGood }: StopToGoOn): boolean => {
    const receipt = written.get(id);
    return !(isForGood && receipt && isOver(receipt));
  };
  return new Map(stops.filter(goesOn).map(({ id }) => [id, written.get(id)]));
}
