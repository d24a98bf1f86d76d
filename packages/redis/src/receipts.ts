// receipts.ts: the record of each stop: one hash per receipt, in it one part per process, and joined when they are read.

import { joinReceipts, type Receipt, type ReceiptPart } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';

/** The oldest beyond so many are cleared away. */
const mostKept = 10_000;

export interface Standing {
  isAlive(process: string): boolean;
  isUnheard(process: string): boolean;
}

export class Receipts {
  private readonly wire: Wire;
  private readonly prefix: string;
  private readonly process: string;
  private readonly writing = new Map<string, Promise<unknown>>();

  constructor(wire: Wire, prefix: string, process: string) {
    this.wire = wire;
    this.prefix = prefix;
    this.process = process;
  }

  /** One after another for each receipt, so that the last writing stands. */
  write(receipt: ReceiptPart): Promise<void> {
    const text = JSON.stringify(receipt);
    const before = this.writing.get(receipt.id) ?? Promise.resolve();
    const done = before.catch(() => {}).then(() => this.writeNow(receipt, text));
    this.writing.set(receipt.id, done);
    const forget = (): void => {
      if (this.writing.get(receipt.id) === done) this.writing.delete(receipt.id);
    };
    done.then(forget, forget);
    return done;
  }

  /** Newest first. One that cannot be read is left out. */
  async all({ isAlive, isUnheard }: Standing): Promise<readonly Receipt[]> {
    const ids = (await this.wire.call(['ZREVRANGE', this.index(), '0', String(mostKept - 1)])) as readonly string[];
    const found: ReceiptPart[] = [];
    for (let i = 0; i < ids.length; i += 50) {
      const some = await Promise.all(ids.slice(i, i + 50).map((id) => this.wire.call(['HGETALL', this.key(id)], 30_000)));
      for (const parts of some) found.push(...partsIn(parts));
    }
    return joinReceipts(found, isAlive, isUnheard);
  }

  private async writeNow(receipt: Receipt, text: string): Promise<void> {
    const timeoutMs = 2000 + text.length / 1000;
    const index = this.index();
    const [, , over] = await Promise.all([
      this.wire.call(['HSET', this.key(receipt.id), this.process, text], timeoutMs),
      this.wire.call(['ZADD', index, String(receipt.stop.since), receipt.id], timeoutMs),
      this.wire.call(['ZRANGE', index, '0', String(-mostKept - 1)], timeoutMs),
    ]);
    const old = over as readonly string[];
    if (old.length === 0) return;
    await Promise.all([
      this.wire.call(['DEL', ...old.map((id) => this.key(id))], timeoutMs),
      this.wire.call(['ZREM', index, ...old], timeoutMs),
    ]);
  }

  private index(): string {
    return `${this.prefix}:{ctl}:receipts`;
  }

  private key(id: string): string {
    return `${this.prefix}:{ctl}:receipt:${id}`;
  }
}

function partsIn(reply: Reply): ReceiptPart[] {
  return pairs(reply).flatMap(([, text]) => {
    try {
      const value = JSON.parse(text) as Partial<ReceiptPart> | null;
      return typeof value?.id === 'string' &&
        typeof value.process === 'string' &&
        Array.isArray(value.others) &&
        Array.isArray(value.sessions) &&
        typeof value.stop?.since === 'number'
        ? [value as ReceiptPart]
        : [];
    } catch {
      return [];
    }
  });
}
