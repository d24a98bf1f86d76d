// outbox.ts: what this process writes in order: records of its journals, states of its sessions, claims. Queued, sent together,
// and kept until Redis has said that it has them.
//
// Every write is numbered. One that is sent again because its answer was lost is not made twice, and none is made before the
// one it follows: a journal with a hole in it would be read as if what is missing had not happened. What Redis said that it has is kept
// for a few seconds all the same: one that was killed comes back without its last moment (docs/redis.md), and says so by its number.

import { RuntimeError } from '@offswitch/runtime';
import { ServerRefusal } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';

export interface Write {
  readonly fn: 'journal' | 'claim' | 'note' | 'forget';
  readonly root: string;
  /** Dropped, or refused by the server, when another process has this. */
  readonly localRoot: string;
  readonly args: readonly string[];
  /** A record of a session's end: what it lets go of is more than what it takes. */
  readonly isEnd?: boolean;
}

export interface OutboxOptions {
  readonly wire: Wire;
  readonly process: string;
  readonly timeoutMs: number;
  /** How long a flush waits before it rejects. Milliseconds. */
  readonly flushWithinMs: number;
  readonly maxBytes: number;
  readonly retentionMs: number;
  readonly gen: () => string;
  /** The server says that another process has these local roots. */
  readonly onLost: (localRoots: readonly string[]) => void;
  /** Redis has lost what it had, or may have: before the last of it is written again, and before anything else is. */
  readonly onLoss: () => Promise<void>;
  /** Redis refuses to take it; `undefined`: it takes it again. */
  readonly onTrouble: (why: string | undefined) => void;
}

interface Queued extends Write {
  /** So many were pushed up to it. */
  readonly at: number;
}

/** One write as the server counts: neighbours of one journal are one. */
interface Sent {
  readonly n: number;
  /** Of the time in the store in which it was first sent: refused where this process was counted as gone since. */
  gen: string;
  readonly fn: Write['fn'];
  readonly root: string;
  readonly localRoot: string;
  writes: readonly Write[];
  /** When Redis said that it has it, by the monotonic clock; `undefined`: not yet, and its writes are still in the queue. */
  ackedAt?: number;
}

const mostTogether = 2000;
const bytesTogether = 2_097_152;
const recordsTogether = 200;
/** How long a record that nobody waits for waits for others: a process that calls a thousand times a second writes 200 times. Milliseconds. */
const togetherMs = 5;
const againMs = 250;
/** The answer of the server to a write of a session that another process has (lua/registry.ts). */
const notMade = 2;
/** How long before the last that it acknowledged Redis may forget: a second under `everysec`, and what a replica lags behind. */
export const mayForgetMs = 10_000;
const keptBytes = 16_777_216;

export class Outbox {
  private readonly options: OutboxOptions;
  private queue: Queued[] = [];
  private bytes = 0;
  private pushed = 0;
  private done = 0;
  /** Number of the next write, as the server counts. */
  private next = 0;
  /** The life of the server (lua/shared.ts) of which everything that was registered is known to be there. */
  private life = '';
  /** Acknowledged a little while ago. */
  private kept: Sent[] = [];
  private bytesKept = 0;
  private sending: Promise<void> | undefined;
  private isScheduled = false;
  /** What was pushed up to this one is sent now; records behind it wait for others. */
  private wantedUpTo = 0;
  private soon: NodeJS.Timeout | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;
  private trouble: string | undefined;
  private readonly waiting = new Set<{ readonly upTo: number; readonly end: (error?: Error) => void }>();

  constructor(options: OutboxOptions) {
    this.options = options;
  }

  /** In this life of the server nothing was registered before. */
  joined(life: string): void {
    this.life = life;
  }

  /** Throws `store_failed` when too much waits already for a record or a claim; what became of a session, its end too, always finds room. */
  push(write: Write): void {
    const bytes = sizeOf(write);
    // Whoever says what became of a session has no way to say it again: it is in the middle of ending it. A write of nothing takes no room.
    const hasRoom = write.isEnd || write.fn === 'note' || write.fn === 'forget' || write.args.length === 0;
    if (!hasRoom && this.bytes + bytes > this.options.maxBytes)
      throw new RuntimeError(
        'store_failed',
        `${this.bytes} bytes wait to be written to Redis (${this.trouble ?? this.options.wire.trouble ?? 'it is slow'}); maxQueuedBytes is ${this.options.maxBytes}`,
      );
    this.queue.push({ ...write, at: ++this.pushed });
    this.bytes += bytes;
    if (write.fn === 'journal' && this.bytes < bytesTogether) this.sendSoon();
    else this.wantedUpTo = this.pushed;
    if (this.isScheduled || !this.isWanted) return;
    this.isScheduled = true;
    queueMicrotask(() => {
      this.isScheduled = false;
      this.send();
    });
  }

  /** Resolves when everything pushed so far is in Redis; rejects with `store_failed` when it is not in time. It is written later all the same. */
  flush(): Promise<void> {
    if (this.done >= this.pushed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const one = {
        upTo: this.pushed,
        end: (error?: Error): void => {
          clearTimeout(timer);
          this.waiting.delete(one);
          if (error) reject(error);
          else resolve();
        },
      };
      const timer = setTimeout(
        () =>
          one.end(
            new RuntimeError(
              'store_failed',
              `not written in time: ${this.trouble ?? this.options.wire.trouble ?? 'Redis is slow'}`,
            ),
          ),
        this.options.flushWithinMs,
      );
      this.waiting.add(one);
      this.sendNow();
    });
  }

  /** Tries again now: the connection or the lease is back. */
  retry(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.sendNow();
  }

  /** Redis may have lost the last of what it had: a write of nothing finds out. */
  probe(): void {
    const last = this.kept.at(-1);
    if (last) this.push({ fn: 'journal', root: last.root, localRoot: last.localRoot, args: [] });
  }

  /** Drops what waits of sessions that are another process's now; what is pushed from here on may be of the day they are given back. */
  drop(localRoots: ReadonlySet<string>): void {
    for (const one of this.queue) if (localRoots.has(one.localRoot)) this.dropped.add(one);
    // Their numbers stay: writes of nothing.
    for (const one of this.kept) if (localRoots.has(one.localRoot)) this.empty(one);
    // What is on its way is refused by the server, and dropped with the rest once it was.
    if (!this.sending) this.dropNow();
  }
  private readonly dropped = new Set<Write>();
  /** Sent again as they are: those whose answer was lost, and those that Redis has lost. */
  private again: Sent[] | undefined;

  async close(): Promise<void> {
    await this.flush().catch(() => {});
    this.isClosed = true;
    clearTimeout(this.timer);
    clearTimeout(this.soon);
    const closed = new RuntimeError('closed', 'the store was closed');
    for (const one of this.waiting) one.end(closed);
  }

  private dropNow(): void {
    if (this.dropped.size === 0 || this.again) return;
    this.left(this.queue.filter((one) => !this.dropped.has(one)));
    this.dropped.clear();
    this.bytes = this.queue.reduce((sum, one) => sum + sizeOf(one), 0);
  }

  private empty(one: Sent): void {
    for (const write of one.writes) this.bytesKept -= sizeOf(write);
    one.writes = [];
  }

  private sendSoon(): void {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      this.sendNow();
    }, togetherMs);
  }

  private sendNow(): void {
    this.wantedUpTo = this.pushed;
    this.send();
  }

  private get isWanted(): boolean {
    return this.wantedUpTo > this.done;
  }

  private send(): void {
    if (this.sending || this.isClosed || this.timer || this.queue.length === 0 || !this.isWanted) return;
    // Those behind what is wanted may be too many to be taken along.
    if (this.wantedUpTo === this.pushed) {
      clearTimeout(this.soon);
      this.soon = undefined;
    }
    this.sending = this.sendAll().finally(() => {
      this.sending = undefined;
      this.dropNow();
      this.send();
    });
  }

  private async sendAll(): Promise<void> {
    const batch = this.again ?? this.batch();
    this.again = undefined;
    const { wire, timeoutMs } = this.options;
    const ends = await Promise.allSettled(
      batch.map((one) => {
        const argv = this.argvOf(one);
        return wire.fn(fnOf(one), argv, timeoutMs + Math.ceil(argv.reduce((sum, part) => sum + part.length, 0) / 1000));
      }),
    );
    const failed = ends.findIndex((one) => one.status === 'rejected');
    const through = failed === -1 ? batch : batch.slice(0, failed);
    const lost = through.filter((_, i) => (ends[i] as PromiseFulfilledResult<unknown>).value === notMade);
    // Before whoever waits for them is told: a call whose intent was not written must not be made.
    if (lost.length > 0) this.options.onLost([...new Set(lost.map(({ localRoot }) => localRoot))]);
    this.acknowledged(through);
    for (const one of lost) this.empty(one);
    if (failed === -1) return this.tell(undefined);
    const error = (ends[failed] as PromiseRejectedResult).reason as unknown;
    const left = batch.slice(failed);
    const refusal = error instanceof ServerRefusal ? error : undefined;
    // These three say that the server does not have the number yet (lua/registry.ts): nothing of it was made.
    if (refusal?.code === 'ORDER') await this.makeGood(Number(/-?\d+/.exec(refusal.message)?.[0]), left);
    else if (refusal?.code === 'LIFE') await this.beginLife(refusal.message.slice('LIFE '.length));
    else if (refusal?.code !== 'LAPSED') {
      // It may have been made before, also where the server refuses to look: the very same is sent again, and is known by its number.
      this.again = left;
      if (refusal) this.tell(`Redis refuses what ${batch[failed]!.fn} writes: ${refusal.message}`);
    }
    if (this.isClosed) return;
    this.timer = setTimeout(() => this.retry(), againMs);
    this.timer.unref();
  }

  private acknowledged(through: readonly Sent[]): void {
    const now = performance.now();
    let count = 0;
    for (const one of through) {
      const isNew = one.ackedAt === undefined;
      one.ackedAt = now;
      if (!isNew) continue;
      this.next = one.n + 1;
      count += one.writes.length;
      this.kept.push(one);
    }
    let bytes = 0;
    for (const one of this.queue.slice(0, count)) bytes += sizeOf(one);
    this.bytes -= bytes;
    this.bytesKept += bytes;
    this.left(this.queue.slice(count));
    let old = 0;
    while (old < this.kept.length && (this.bytesKept > keptBytes || now - this.kept[old]!.ackedAt! > mayForgetMs))
      for (const one of this.kept[old++]!.writes) this.bytesKept -= sizeOf(one);
    if (old > 0) this.kept = this.kept.slice(old);
  }

  /** `had`: the number of the last write that Redis still has. */
  private async makeGood(had: number, left: readonly Sent[]): Promise<void> {
    const lost = this.kept.filter(({ n }) => n > had);
    if (lost[0]?.n !== had + 1)
      return this.tell(
        `Redis has lost what it acknowledged, from write ${had + 1} on, and it is not kept here any more: restart this process`,
      );
    await this.options.onLoss().catch(() => {});
    const now = this.options.gen();
    for (const one of lost) one.gen = now;
    this.again = [...lost, ...left.filter((one) => one.ackedAt === undefined)];
  }

  /** Nothing was written: a write of a session that Redis does not know any more would be said to be made, and be lost. */
  private async beginLife(life: string): Promise<void> {
    await this.options.onLoss().catch(() => {});
    this.life = life;
  }

  private argvOf(one: Sent): string[] {
    const { process, retentionMs } = this.options;
    const { n, gen, root, localRoot, writes } = one;
    const fn = fnOf(one);
    const place = [root, fn === 'claim' || fn === 'journal' ? localRoot : String(retentionMs)];
    return [process, gen, String(n), this.life, ...place, ...writes.flatMap(({ args }) => args)];
  }

  private tell(trouble: string | undefined): void {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.options.onTrouble(trouble);
  }

  private left(left: Queued[]): void {
    this.queue = left;
    // Not by how many are left: some behind the first may have been dropped.
    this.done = (left[0]?.at ?? this.pushed + 1) - 1;
    for (const one of this.waiting) if (one.upTo <= this.done) one.end();
  }

  /** The front of the queue as commands; neighbours of one journal share one. */
  private batch(): Sent[] {
    const sent: Sent[] = [];
    let bytes = 0;
    let at = 0;
    while (at < this.queue.length && sent.length < mostTogether && bytes < bytesTogether) {
      const { fn, root, localRoot } = this.queue[at]!;
      let count = 1;
      if (fn === 'journal')
        for (; count < recordsTogether && bytes < bytesTogether; count++) {
          const next = this.queue[at + count];
          if (next?.fn !== 'journal' || next.root !== root || next.localRoot !== localRoot) break;
          bytes += sizeOf(next);
        }
      bytes += sizeOf(this.queue[at]!);
      const writes = this.queue.slice(at, at + count);
      sent.push({ n: this.next + sent.length, gen: this.options.gen(), fn, root, localRoot, writes });
      at += count;
    }
    return sent;
  }
}

function sizeOf({ args }: Write): number {
  let size = 100;
  for (const one of args) size += one.length;
  return size;
}

/** What is left of a write whose sessions are another process's now has nothing but its number. */
function fnOf({ fn, writes }: Sent): Write['fn'] {
  return writes.length === 0 ? 'journal' : fn;
}
