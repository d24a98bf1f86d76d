// receipts.ts: the record of each stop: one hash per receipt, in it one part per process, and joined when they are read.

import { joinReceipts, type Receipt, type ReceiptPart, type StopToGoOn } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';

/** The oldest beyond so many are cleared away. */
const mostKept = 10_000;
/** So many are known to be done, also of those that were cleared away. */
const mostDone = 200_000;
/** Read in one step. */
const together = 50;
/** Asked for at once, whether they are done. */
const askedTogether = 1_000;

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
    for (let i = 0; i < ids.length; i += together) found.push(...(await this.partsOf(ids.slice(i, i + together))));
    return joinReceipts(found, isAlive, isUnheard);
  }

  /** Read in pages, of which only what is not done is kept: one that is for good and done is looked at once, and never by the next. */
  async toGoOn(
    stops: readonly StopToGoOn[],
    { isAlive, isUnheard }: Standing,
  ): Promise<ReadonlyMap<string, Receipt | undefined>> {
    const written = new Map<string, Receipt | undefined>();
    const open = await this.notDone(stops);
    for (let i = 0; i < open.length; i += together) {
      const some = open.slice(i, i + together);
      const parts = await this.partsOf(some.map(({ id }) => id));
      const former = new Set(parts.flatMap(({ formerly = [] }) => formerly));
      for (const { id } of some) former.delete(id);
      parts.push(...(await this.partsOf([...former])));
      const byId = new Map(joinReceipts(parts, isAlive, isUnheard).map((one) => [one.id, one]));
      const over = some.filter(({ id, isForGood }) => isForGood && byId.get(id)?.stages.done !== undefined);
      for (const { id } of some) written.set(id, byId.get(id));
      for (const { id } of over) written.delete(id);
      await this.noteDone(over.map(({ id }) => byId.get(id)!));
    }
    return written;
  }

  private async notDone(stops: readonly StopToGoOn[]): Promise<readonly StopToGoOn[]> {
    const open = stops.filter(({ isForGood }) => !isForGood);
    const forGood = stops.filter(({ isForGood }) => isForGood);
    for (let i = 0; i < forGood.length; i += askedTogether) {
      const some = forGood.slice(i, i + askedTogether);
      const scores = await this.wire.call(['ZMSCORE', this.done(), ...some.map(({ id }) => id)]);
      open.push(...some.filter((_, n) => (scores as readonly (string | null)[])[n] === null));
    }
    return open;
  }

  private async noteDone(receipts: readonly Receipt[]): Promise<void> {
    if (receipts.length === 0) return;
    const members = receipts.flatMap(({ id, stop }) => [String(stop.since), id]);
    await this.wire.call(['ZADD', this.done(), ...members]);
    await this.wire.call(['ZREMRANGEBYRANK', this.done(), '0', String(-mostDone - 1)]);
  }

  private async partsOf(ids: readonly string[]): Promise<ReceiptPart[]> {
    const some = await Promise.all(ids.map((id) => this.wire.call(['HGETALL', this.key(id)], 30_000)));
    return some.flatMap(partsIn);
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

  /** Those of stops for good that were found done, by when the stop was made. */
  private done(): string {
    return `${this.prefix}:{ctl}:receipts-done`;
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
