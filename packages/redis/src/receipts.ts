// receipts.ts: the record of each stop: one hash per receipt, in it one part per process, and joined when they are read.

import {
  isOver,
  isReceiptPart,
  joinReceipts,
  type Receipt,
  type ReceiptPart,
  type Standing,
  type StopToGoOn,
} from '@offswitch/runtime';
import type { Wire } from './connection/wire.ts';
import { pageTimeoutMs, pairs } from './journals.ts';

const most = {
  /** What was written longest ago beyond so many is cleared away; of stops that are still at work as many are kept beside. */
  kept: 10_000,
  /** So many are known to be done, also of those that were cleared away. */
  done: 200_000,
};
/** Read in one step. */
const together = 50;
/** Asked for at once, whether they are done. */
const askedTogether = 1_000;

export interface ReceiptsOptions {
  readonly writing: Wire;
  /** Receipts may be long, and what is to be written is not to wait behind them. */
  readonly reading: Wire;
  readonly prefix: string;
  readonly process: string;
  /** Default: 10,000 and 200,000. */
  readonly most?: { readonly kept: number; readonly done: number };
}

type Unread = (what: string) => void;

export class Receipts {
  private readonly options: ReceiptsOptions;
  private readonly most: typeof most;
  /** The last writing of each that is on its way. */
  private readonly underWay = new Map<string, Promise<unknown>>();

  constructor(options: ReceiptsOptions) {
    this.options = options;
    this.most = options.most ?? most;
  }

  /** One after another for each receipt, so that the last writing stands. */
  write(receipt: ReceiptPart): Promise<void> {
    const text = JSON.stringify(receipt);
    const before = this.underWay.get(receipt.id) ?? Promise.resolve();
    const done = before.catch(() => {}).then(() => this.writeNow(receipt, text));
    this.underWay.set(receipt.id, done);
    const forget = (): void => {
      if (this.underWay.get(receipt.id) === done) this.underWay.delete(receipt.id);
    };
    done.then(forget, forget);
    return done;
  }

  /** Newest first. A part that cannot be read is left out, and `unread` told of it. */
  async all(standing: Standing, unread?: Unread): Promise<readonly Receipt[]> {
    const [open, closed] = await Promise.all([this.listed('receipts-open'), this.listed('receipts')]);
    // One that came to its end in between is in both.
    const ids = [...new Set([...open, ...closed])];
    const found: ReceiptPart[] = [];
    for (let i = 0; i < ids.length; i += together) found.push(...(await this.read(ids.slice(i, i + together), unread)).parts);
    return joinReceipts(found, standing);
  }

  /** Read in pages, of which only what is not over is kept: one that is for good and over is looked at once, and never by the next. */
  async toGoOn(stops: readonly StopToGoOn[], standing: Standing): Promise<ReadonlyMap<string, Receipt | undefined>> {
    const written = new Map<string, Receipt | undefined>();
    const open = await this.notDone(stops);
    for (let i = 0; i < open.length; i += together) {
      const some = open.slice(i, i + together);
      const { receipts, times } = await this.joined(
        some.map(({ id }) => id),
        standing,
      );
      const byId = new Map(receipts.map((one) => [one.id, one]));
      const over: Receipt[] = [];
      for (const { id, isForGood } of some) {
        const one = byId.get(id);
        if (isForGood && one && isOver(one)) over.push(one);
        else written.set(id, one);
      }
      const changed = await this.noteDone(over, times);
      if (changed.length === 0) continue;
      // Somebody went on with these meanwhile.
      const again = await this.joined(changed, standing);
      for (const one of again.receipts) if (changed.includes(one.id) && !isOver(one)) written.set(one.id, one);
    }
    return written;
  }

  private async notDone(stops: readonly StopToGoOn[]): Promise<readonly StopToGoOn[]> {
    const open = stops.filter(({ isForGood }) => !isForGood);
    const forGood = stops.filter(({ isForGood }) => isForGood);
    for (let i = 0; i < forGood.length; i += askedTogether) {
      const some = forGood.slice(i, i + askedTogether);
      const scores = await this.options.reading.call(['ZMSCORE', this.done(), ...some.map(({ id }) => id)]);
      open.push(...some.filter((_, n) => (scores as readonly (string | null)[])[n] === null));
    }
    return open;
  }

  /** As they were when they had been written so often. Answers those that were written since: of these nothing is noted. */
  private async noteDone(receipts: readonly Receipt[], times: ReadonlyMap<string, string>): Promise<readonly string[]> {
    if (receipts.length === 0) return [];
    const all = receipts.map(({ id, formerly = [] }) => [
      id,
      [id, ...formerly].flatMap((one) => (times.has(one) ? [one, times.get(one)!] : [])),
    ]);
    return (await this.options.writing.fn('over', [this.most.done, JSON.stringify(all)])) as readonly string[];
  }

  /** Together with those that went on in them. */
  private async joined(ids: readonly string[], standing: Standing) {
    const { parts, times } = await this.read(ids);
    const former = new Set(parts.flatMap(({ formerly = [] }) => formerly));
    for (const id of ids) former.delete(id);
    const before = await this.read([...former]);
    return {
      receipts: joinReceipts([...parts, ...before.parts], standing),
      times: new Map([...times, ...before.times]),
    };
  }

  /** `times`: for each of them how often it had been written (lua/receipts.ts). */
  private async read(ids: readonly string[], unread?: Unread) {
    const hash = async (id: string) => pairs(await this.options.reading.call(['HGETALL', this.key(id)], pageTimeoutMs));
    const found = await Promise.all(ids.map(hash));
    const parts = found.flatMap((fields, i) =>
      // The field '' counts how often it was written.
      fields.flatMap(([field, text]) => {
        const part = field === '' ? undefined : partIn(text);
        if (field !== '' && !part) unread?.(`what stands in ${this.key(ids[i]!)} (${JSON.stringify(field)}) is no receipt`);
        return part ?? [];
      }),
    );
    const times = new Map(ids.map((id, i) => [id, found[i]!.find(([field]) => field === '')?.[1] ?? '']));
    return { parts, times };
  }

  private async writeNow(receipt: ReceiptPart, text: string): Promise<void> {
    const { writing, process } = this.options;
    const args = [process, receipt.id, isAtWork(receipt) ? '1' : '0', text, this.most.kept];
    await writing.fn('receipt', args, 2000 + text.length / 1000);
  }

  /** Those of stops for good that were found done, by when they were. */
  private done(): string {
    return `${this.options.prefix}:{ctl}:receipts-done`;
  }

  private async listed(index: 'receipts' | 'receipts-open'): Promise<readonly string[]> {
    const { reading, prefix } = this.options;
    return (await reading.call(['ZRANGE', `${prefix}:{ctl}:${index}`, '0', '-1'])) as readonly string[];
  }

  private key(id: string): string {
    return `${this.options.prefix}:{ctl}:receipt:${id}`;
  }
}

/** As far as this process knows: a pause is in force, or what a terminate ends has not ended. */
function isAtWork({ stop, stages, released }: ReceiptPart): boolean {
  return released === undefined && (stop.action === 'pause' || stages.done === undefined);
}

function partIn(text: string): ReceiptPart | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isReceiptPart(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
