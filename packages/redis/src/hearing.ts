// hearing.ts: how news reaches this process: one connection that waits on the control stream and on this process's own inbox.
//
// The stream is the truth, read from the last id that was told, so a lost connection loses nothing. Events are numbered without a
// gap: where one is missing (trimmed, deleted, another server), everything is read again. A connection that says nothing for
// longer than its own waiting time is given up, since a reader behind a dead link would wait for ever.

import type { Link, OpenLink, Reply } from './connection/link.ts';
import { textOf } from './connection/wire.ts';
import { compareIds } from './stream-id.ts';

/** How long Redis holds an empty read back. Milliseconds. */
const blockMs = 1000;
const firstWaitMs = 20;
const longestWaitMs = 1000;
/** Entries taken in one read: their processing is one stretch of the event loop. */
const together = 1000;

export type Fields = ReadonlyMap<string, string>;

export interface Position {
  /** Stream id up to which everything was told. */
  readonly id: string;
  /** Number of the event there. */
  readonly seq: number;
  /** The life of the server (lua/shared.ts) in which it was there. */
  readonly life: string;
}

export interface HearingOptions {
  readonly open: OpenLink;
  readonly timeoutMs: number;
  readonly stream: string;
  readonly inbox: string;
  /** Told synchronously; what it throws is its own fault and stops nothing. */
  readonly onEvents: (events: readonly Fields[]) => void;
  readonly onInbox: (fields: Fields) => void;
  /** Reads everything and tells what is new of it; the position at which that was so. */
  readonly readAll: () => Promise<Position>;
  /** `link`: what is said over it goes out with the next read. */
  readonly onPosition: (position: Position, link: Link | undefined) => void;
  /** The server is in another life than it was. */
  readonly onLife: () => void;
}

export class Hearing {
  private readonly options: HearingOptions;
  private position: Position = { id: '0-0', seq: 0, life: '' };
  /** Everything was read once, in this life of the server. */
  private isRead = false;
  private inbox = '0-0';
  private link: Link | undefined;
  private isClosed = false;
  private wake: () => void = () => {};
  private readonly waiting = new Set<{ readonly id: string; readonly done: (isReached: boolean) => void }>();

  constructor(options: HearingOptions) {
    this.options = options;
  }

  get at(): string {
    return this.position.id;
  }

  get life(): string {
    return this.position.life;
  }

  /** From here on; `undefined`: nothing was read yet. */
  start(from: Position | undefined): void {
    if (from) this.position = from;
    this.isRead = from !== undefined;
    void this.run(from !== undefined);
  }

  /** Everything up to this id has been told; false when it has not within the bound. */
  reached(id: string, withinMs: number): Promise<boolean> {
    if (this.isRead && compareIds(this.position.id, id) >= 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (isReached: boolean): void => {
        clearTimeout(timer);
        this.waiting.delete(one);
        resolve(isReached);
      };
      const one = { id, done };
      const timer = setTimeout(() => done(false), withinMs);
      this.waiting.add(one);
    });
  }

  /**
   * Everything was read and told as of there. In another life of the server than before, it may have lost the last of that one, and may number what
   * is new as it did what is lost: the inbox is read again from its beginning.
   */
  reread(to: Position): void {
    const { life } = this.position;
    this.position = to;
    this.isRead = true;
    if (life !== '' && life !== to.life) {
      this.inbox = '0-0';
      this.options.onLife();
    }
    this.settle();
  }

  /** The server is in this life. In another one than what was read here everything is read again. */
  isIn(life: string): void {
    if (!this.isRead || life === this.position.life) return;
    this.isRead = false;
    this.link?.destroy('the server was restarted');
    this.wake();
  }

  close(): void {
    this.isClosed = true;
    this.link?.destroy();
    this.wake();
    for (const one of this.waiting) one.done(false);
  }

  private async run(isFresh: boolean): Promise<void> {
    let isWhole = isFresh;
    let waitMs = firstWaitMs;
    while (!this.isClosed) {
      try {
        const link = await this.options.open({ connectTimeoutMs: this.options.timeoutMs, keepsAlive: false });
        this.link = link;
        if (this.isClosed) break;
        if (!isWhole || !this.isRead) this.reread(await this.options.readAll());
        waitMs = firstWaitMs;
        while (!this.isClosed && !link.isGone) await this.readOnce(link);
        isWhole = false;
      } catch (error) {
        // Whatever was told meanwhile may be missing here.
        isWhole = false;
        this.link?.destroy(textOf(error));
        await this.pause(waitMs * (0.5 + Math.random() / 2));
        waitMs = Math.min(longestWaitMs, waitMs * 2);
      }
    }
    this.link?.destroy();
  }

  private async readOnce(link: Link): Promise<void> {
    const { stream, inbox, timeoutMs } = this.options;
    const argv = ['XREAD', 'COUNT', String(together), 'BLOCK', String(blockMs), 'STREAMS', stream, inbox];
    const reply = await link.call([...argv, this.position.id, this.inbox], blockMs + timeoutMs);
    // Of the life before.
    if (!this.isRead) return;
    for (const [name, entries] of (reply ?? []) as unknown as readonly (readonly [string, readonly Entry[]])[]) {
      if (name === stream) await this.take(entries);
      else
        for (const [id, flat] of entries) {
          this.inbox = id;
          this.options.onInbox(fieldsOf(flat));
        }
    }
  }

  private async take(entries: readonly Entry[]): Promise<void> {
    let events: Fields[] = [];
    const tellThem = (): void => {
      if (events.length > 0) this.options.onEvents(events);
      events = [];
    };
    for (const [id, flat] of entries) {
      if (compareIds(id, this.position.id) <= 0) continue;
      const fields = fieldsOf(flat);
      const seq = Number(fields.get('q'));
      if (seq !== this.position.seq + 1) {
        tellThem();
        const { life } = this.position;
        this.reread(await this.options.readAll());
        // The rest is of the life before.
        if (this.position.life !== life) return;
        if (compareIds(id, this.position.id) <= 0) continue;
      }
      events.push(fields);
      this.position = { id, seq, life: this.position.life };
    }
    tellThem();
    this.settle();
  }

  private settle(): void {
    if (!this.isRead) return;
    for (const one of this.waiting) if (compareIds(this.position.id, one.id) >= 0) one.done(true);
    this.options.onPosition(this.position, this.link);
  }

  private pause(ms: number): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

type Entry = readonly [id: string, fields: readonly Reply[]];

function fieldsOf(flat: readonly Reply[]): Fields {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), String(flat[i + 1]));
  return fields;
}
