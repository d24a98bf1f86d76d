// receipt-writer.ts: receipts of stops under way are written as they grow: not too often, in slices where they are long, and again where
// the store did not take them.

import { joinTold } from './grants/receipt-grant.ts';
import type { Order } from './order.ts';
import type { Receipt, ReceiptPart } from './receipt.ts';
import { Slice } from './slices.ts';
import { isLong, receiptAtOnce, receiptInSlices } from './told.ts';
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
    if (order.writeTimer !== undefined || this.world.isClosed) return;
    order.writeTimer = this.world.clock.setTimeout(() => {
      order.writeTimer = undefined;
      this.now(order);
    }, order.writeAgainMs);
  }

  now(order: Order): void {
    this.world.clock.clearTimeout(order.writeTimer);
    order.writeTimer = undefined;
    if (isLong(order)) {
      if (order.isWriting) order.isStale = true;
      else void this.inSlices(order);
      return;
    }
    const start = this.world.clock.monotonic();
    void this.store(order, receiptAtOnce(this.world, order));
    order.writeAgainMs = Math.max(writeEveryMs, (this.world.clock.monotonic() - start) / writeShare);
  }

  private async inSlices(order: Order): Promise<void> {
    order.isWriting = true;
    do {
      order.isStale = false;
      const slice = new Slice(this.world.clock);
      const receipt = await receiptInSlices(this.world, order, slice);
      // `close` writes what is true then.
      if (this.world.isClosed) break;
      order.writeAgainMs = Math.max(writeEveryMs, slice.tookMs / writeShare);
      await this.store(order, receipt);
    } while (order.isStale);
    order.isWriting = false;
  }

  /** Tried again where it fails. */
  async store(order: Order, receipt: ReceiptPart): Promise<void> {
    try {
      await this.write(order, receipt);
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

  /** What this process wrote of it is replaced by what it writes, and it knows that no more. */
  private async earlier(order: Order): Promise<Pick<Receipt, 'sessions' | 'grants'>> {
    const { store } = this.world;
    const read = async () => {
      const before = (await store.receiptsToGoOn([{ id: order.id, isForGood: false }])).get(order.id);
      return {
        sessions: (before?.sessions ?? []).filter(({ process }) => process === store.processId),
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
  return {
    ...part,
    sessions: [...sessions.filter(({ session }) => !named.has(session)), ...part.sessions],
    grants: joinTold([grants, part.grants]),
  };
}
