// receipt-writer.ts: receipts of stops under way are written as they grow: not too often, in slices where they are long, and again where
// the store did not take them.

import { joinTold } from './grants/receipt-grant.ts';
import type { Order } from './order.ts';
import type { Receipt, ReceiptPart } from './receipt.ts';
import { Slice } from './slices.ts';
import { isLong, receiptAtOnce, receiptInSlices, unknownOutcome } from './told.ts';
import { askAfter } from './unheard.ts';
import type { World } from './world.ts';

/** A receipt is written again at most this often while it grows. Milliseconds. */
export const writeEveryMs = 50;
/** One that could not be written is tried again after this long. Milliseconds. */
const writeFailedMs = 1_000;
/** What writing one costs is at most this share of the time. */
const writeShare = 0.05;

export class ReceiptWriter {
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** A little later, together with what comes meanwhile. */
  soon(order: Order): void {
    order.changes++;
    if (order.writeTimer !== undefined || this.world.isClosed) return;
    order.writeTimer = this.world.clock.setTimeout(() => {
      order.writeTimer = undefined;
      this.now(order);
    }, order.writeAgainMs);
  }

  now(order: Order): void {
    order.changes++;
    this.world.clock.clearTimeout(order.writeTimer);
    order.writeTimer = undefined;
    if (isLong(order)) {
      if (order.isWriting) order.isStale = true;
      else void this.inSlices(order);
      return;
    }
    const start = this.world.clock.monotonic();
    void this.store(order, receiptAtOnce(this.world, order), order.changes);
    order.writeAgainMs = Math.max(writeEveryMs, (this.world.clock.monotonic() - start) / writeShare);
  }

  private async inSlices(order: Order): Promise<void> {
    order.isWriting = true;
    do {
      order.isStale = false;
      const { changes } = order;
      const slice = new Slice(this.world.clock);
      const receipt = await receiptInSlices(this.world, order, slice);
      // `close` writes what is true then.
      if (this.world.isClosed) break;
      order.writeAgainMs = Math.max(writeEveryMs, slice.tookMs / writeShare);
      await this.store(order, receipt, changes);
    } while (order.isStale);
    order.isWriting = false;
  }

  /** The store has all of it that there is to say. What is under way changes without a word: calls begin and end. */
  isWritten({ isDone, changes, written }: Order): boolean {
    return isDone && written >= changes;
  }

  /** Written at once, where it is not. */
  async bringUp(order: Order): Promise<void> {
    if (this.isWritten(order)) return;
    const { changes } = order;
    await this.store(order, await this.part(order), changes);
  }

  /** Tried again where it fails. `changes`: those that it tells of. */
  private async store(order: Order, receipt: ReceiptPart, changes: number): Promise<void> {
    try {
      await this.write(order, receipt);
      order.written = changes;
      order.isUnwritten = false;
    } catch (error) {
      if (this.world.isClosed) return;
      if (!order.isUnwritten)
        this.world.alarm(`the receipt ${order.id} could not be written: ${String(error)}; it is tried again`);
      order.isUnwritten = true;
      order.writeAgainMs = Math.max(order.writeAgainMs, writeFailedMs);
      this.soon(order);
    }
  }

  /** Rejects where the store does. */
  async write(order: Order, receipt: ReceiptPart): Promise<void> {
    const { store } = this.world;
    await store.writeReceipt(order.isAgain ? withEarlier(await this.earlier(order), receipt) : receipt);
  }

  /** Of what this process had told before it forgot it, whom nobody knew the end of is to be asked after again. Rejects where the store does. */
  async recall(order: Order): Promise<void> {
    if (order.isAgain) askAfter(order.heardAgain, (await this.earlier(order)).sessions);
  }

  /** What this process wrote of it is replaced by what it writes, and it knows that no more. Nor whose words those are that are hearsay. */
  private async earlier(order: Order): Promise<Pick<Receipt, 'sessions' | 'grants'>> {
    const { store } = this.world;
    const read = async () => {
      const before = (await store.receiptsToGoOn([{ id: order.id, isForGood: false }])).get(order.id);
      return {
        sessions: (before?.sessions ?? []).filter(({ process }) => process === store.processId || process === undefined),
        grants: before?.grants ?? [],
      };
    };
    order.earlier ??= read();
    try {
      return await order.earlier;
    } catch (error) {
      order.earlier = undefined;
      throw error;
    }
  }

  /** What this process knows of it now. */
  async part(order: Order): Promise<ReceiptPart> {
    return isLong(order) ? receiptInSlices(this.world, order, new Slice(this.world.clock)) : receiptAtOnce(this.world, order);
  }
}

function withEarlier({ sessions, grants }: Pick<Receipt, 'sessions' | 'grants'>, part: ReceiptPart): ReceiptPart {
  const named = new Set(part.sessions.map(({ session }) => session));
  const kept = sessions.filter(({ session }) => !named.has(session));
  const unknown = kept.flatMap(({ session, calls }) =>
    calls.filter(({ outcome }) => outcome === 'unknown').map((call) => unknownOutcome(session, call)),
  );
  return {
    ...part,
    sessions: [...kept, ...part.sessions],
    grants: joinTold([grants, part.grants]),
    residue: [...new Set([...unknown, ...part.residue])],
  };
}
