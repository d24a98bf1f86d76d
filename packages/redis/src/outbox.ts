// outbox.ts: what this process writes in order: records of its journals, states of its sessions, claims. Queued, sent together,
// and kept until Redis has said that it has them.
//
// Every write is numbered. One that is sent again because its answer was lost is not made twice, and none is made before the
// one it follows: a journal with a hole in it would be read as if what is missing had not happened.

import { RuntimeError } from '@offswitch/runtime';
import { ServerRefusal } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';

export interface Write {
  readonly fn: 'journal' | 'claim' | 'note' | 'forget';
  readonly root: string;
  /** Dropped, or refused by the server, when another process has this. */
  readonly localRoot: string;
  readonly args: readonly string[];
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
  /** Redis refuses to take it; `undefined`: it takes it again. */
  readonly onTrouble: (why: string | undefined) => void;
}

interface Sent {
  readonly argv: readonly string[];
  readonly fn: Write['fn'];
  readonly localRoot: string;
  /** How many of the queue it holds. */
  readonly count: number;
}

const mostTogether = 2000;
const bytesTogether = 2_097_152;
const recordsTogether = 200;
const againMs = 250;
/** The answer of the server to a write of a session that another process has (lua/registry.ts). */
const notMade = 2;

export class Outbox {
  private readonly options: OutboxOptions;
  private queue: Write[] = [];
  private bytes = 0;
  private pushed = 0;
  private done = 0;
  /** Number of the next write, as the server counts. */
  private next = 0;
  private sending: Promise<void> | undefined;
  private isScheduled = false;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;
  private trouble: string | undefined;
  private readonly waiting = new Set<{ readonly upTo: number; readonly end: (error?: Error) => void }>();

  constructor(options: OutboxOptions) {
    this.options = options;
  }

  /** Throws `store_failed` when too much waits already. */
  push(write: Write): void {
    const bytes = sizeOf(write);
    if (this.bytes + bytes > this.options.maxBytes)
      throw new RuntimeError(
        'store_failed',
        `${this.bytes} bytes wait to be written to Redis (${this.trouble ?? this.options.wire.trouble ?? 'it is slow'}); maxQueuedBytes is ${this.options.maxBytes}`,
      );
    this.queue.push(write);
    this.bytes += bytes;
    this.pushed++;
    if (this.isScheduled) return;
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
      this.send();
    });
  }

  /** Tries again now: the connection or the lease is back. */
  retry(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.send();
  }

  /** Drops what waits of sessions that are another process's now; what is pushed from here on may be of the day they are given back. */
  drop(localRoots: ReadonlySet<string>): void {
    for (const one of this.queue) if (localRoots.has(one.localRoot)) this.dropped.add(one);
    // What is on its way is refused by the server, and dropped with the rest once it was.
    if (!this.sending) this.dropNow();
  }
  private readonly dropped = new Set<Write>();
  private inDoubt: Sent[] | undefined;

  async close(): Promise<void> {
    await this.flush().catch(() => {});
    this.isClosed = true;
    clearTimeout(this.timer);
    const closed = new RuntimeError('closed', 'the store was closed');
    for (const one of this.waiting) one.end(closed);
  }

  private dropNow(): void {
    if (this.dropped.size === 0 || this.inDoubt) return;
    this.left(this.queue.filter((one) => !this.dropped.has(one)));
    this.dropped.clear();
    this.bytes = this.queue.reduce((sum, one) => sum + sizeOf(one), 0);
  }

  private send(): void {
    if (this.sending || this.isClosed || this.timer || this.queue.length === 0) return;
    this.sending = this.sendAll().finally(() => {
      this.sending = undefined;
      this.dropNow();
      this.send();
    });
  }

  private async sendAll(): Promise<void> {
    const batch = this.inDoubt ?? this.batch();
    this.inDoubt = undefined;
    const { wire, timeoutMs } = this.options;
    const ends = await Promise.allSettled(
      batch.map(({ fn, argv }) =>
        wire.fn(fn, argv, timeoutMs + Math.ceil(argv.reduce((sum, one) => sum + one.length, 0) / 1000)),
      ),
    );
    const failed = ends.findIndex((one) => one.status === 'rejected');
    const through = failed === -1 ? batch : batch.slice(0, failed);
    this.next += through.length;
    const count = through.reduce((sum, one) => sum + one.count, 0);
    for (const one of this.queue.slice(0, count)) this.bytes -= sizeOf(one);
    const lost = through.filter((_, i) => (ends[i] as PromiseFulfilledResult<unknown>).value === notMade);
    // Before whoever waits for them is told: a call whose intent was not written must not be made.
    if (lost.length > 0) this.options.onLost([...new Set(lost.map(({ localRoot }) => localRoot))]);
    this.left(this.queue.slice(count));
    if (failed === -1) return this.tell(undefined);
    const error = (ends[failed] as PromiseRejectedResult).reason as unknown;
    // Without an answer it may have been made: the very same is sent again, and the server knows it by its number.
    if (!(error instanceof ServerRefusal)) this.inDoubt = batch.slice(failed);
    else if (error.code !== 'LAPSED') this.tell(`Redis refuses what ${batch[failed]!.fn} writes: ${error.message}`);
    if (this.isClosed) return;
    this.timer = setTimeout(() => this.retry(), againMs);
    this.timer.unref();
  }

  private tell(trouble: string | undefined): void {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.options.onTrouble(trouble);
  }

  private left(left: Write[]): void {
    this.queue = left;
    this.done = this.pushed - left.length;
    for (const one of this.waiting) if (one.upTo <= this.done) one.end();
  }

  /** The front of the queue as commands; neighbours of one journal share one. */
  private batch(): Sent[] {
    const { process, gen, retentionMs } = this.options;
    const sent: Sent[] = [];
    let bytes = 0;
    let at = 0;
    while (at < this.queue.length && sent.length < mostTogether && bytes < bytesTogether) {
      const { fn, root, localRoot, args } = this.queue[at]!;
      const all = [...args];
      let count = 1;
      if (fn === 'journal')
        for (; count < recordsTogether && bytes < bytesTogether; count++) {
          const next = this.queue[at + count];
          if (next?.fn !== 'journal' || next.root !== root || next.localRoot !== localRoot) break;
          all.push(...next.args);
          bytes += sizeOf(next);
        }
      bytes += sizeOf(this.queue[at]!);
      const place = [root, fn === 'claim' || fn === 'journal' ? localRoot : String(retentionMs)];
      sent.push({ fn, localRoot, count, argv: [process, gen(), String(this.next + sent.length), ...place, ...all] });
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
