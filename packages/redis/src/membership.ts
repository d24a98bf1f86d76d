// membership.ts: this process as one of those that share the store: its lease, what it learns when it renews it, and the word
// on whether it may go on.

import type { StoreChange } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import { textOf, type Wire } from './connection/wire.ts';
import type { Hearing } from './hearing.ts';
import { type Instant, Lease } from './lease.ts';
import type { Settings } from './options.ts';

export interface MembershipOptions {
  readonly settings: Settings;
  readonly wire: Wire;
  readonly hearing: () => Hearing;
  readonly process: string;
  /** What others see of this process, as JSON. */
  readonly info: () => string;
  readonly tell: (change: StoreChange) => void;
  /** It was counted as gone. Resolves when it has lost what another process runs now. */
  readonly onLapsed: (awayMs: number) => Promise<void>;
  /** It is another store, or one that lost its data: its id, '' for none. */
  readonly onOther: (id: string) => void;
  /** Not joined yet, and time to try again. */
  readonly onUnjoined: () => void;
  /** It may go on, with all that there was when it asked. */
  readonly onRenewed: () => void;
  /** Whether it may go on may have changed. */
  readonly onChange: () => void;
}

export class Membership {
  private readonly options: MembershipOptions;
  private readonly lease: Lease;
  private timer: unknown;
  private endTimer: unknown;
  private isClosed = false;
  private isStarted = false;
  /** Of this process's time in the store: another one after it was counted as gone. */
  gen = '0';
  storeId = '';

  constructor(options: MembershipOptions) {
    this.options = options;
    this.lease = new Lease(options.settings.clock, options.settings.leaseMs);
  }

  get isOut(): boolean {
    return this.lease.isOut;
  }

  instant(): Instant {
    return this.lease.instant();
  }

  /** Joined by a request that was sent then, and told of everything there was. */
  joined(sentAt: Instant, storeId: string, gen: string): void {
    this.storeId = storeId;
    this.gen = gen;
    this.lease.extend(sentAt);
    this.watchEnd();
  }

  start(): void {
    this.isStarted = true;
    this.wait();
  }

  close(): void {
    this.isClosed = true;
    this.options.settings.clock.clearTimeout(this.timer);
    this.options.settings.clock.clearTimeout(this.endTimer);
  }

  /** Never rejects. */
  async renew(): Promise<void> {
    if (!this.isStarted || this.isClosed || this.storeId === '') return;
    const { settings, wire, hearing, process, info, onChange } = this.options;
    const sentAt = this.lease.instant();
    try {
      const args = [process, info(), settings.leaseMs, this.storeId, this.gen, hearing().at, hearing().life];
      await this.renewed(sentAt, (await wire.fn('renew', args)) as readonly Reply[]);
    } catch (error) {
      this.lastTrouble = textOf(error);
    }
    if (!this.isClosed) onChange();
  }

  /** Why the last renewal did not come about. */
  lastTrouble: string | undefined;

  private async renewed(sentAt: Instant, reply: readonly Reply[]): Promise<void> {
    const [id, tail, gen, hadLapsed, gone, life] = reply;
    if (this.isClosed) return;
    if (id !== this.storeId) {
      this.options.onOther(String(id));
      return;
    }
    this.lastTrouble = undefined;
    if (hadLapsed === 1 && !(await this.caughtUp(String(gen)))) return;
    this.tellOrphaned((gone ?? []) as readonly string[]);
    // A lease is good only with every stop that there was when it was renewed.
    const { settings, hearing } = this.options;
    const { lapses } = this;
    hearing().isIn(String(life));
    if (!(await hearing().reached(String(tail), settings.leaseMs)) || this.isClosed || lapses !== this.lapses) return;
    this.lease.extend(sentAt);
    this.options.onRenewed();
    this.watchEnd();
  }

  private lapses = 0;
  private isCatchingUp = false;
  /** It was counted as gone. Before it may go on, or write: what was taken over is not this process's to continue. */
  private async caughtUp(gen: string): Promise<boolean> {
    this.lapses++;
    this.lease.end();
    if (this.isCatchingUp) return false;
    this.isCatchingUp = true;
    try {
      await this.options.onLapsed(this.lease.outMs);
    } finally {
      this.isCatchingUp = false;
    }
    // Not before: until it has been told, it is told again.
    this.gen = gen;
    return !this.isClosed;
  }

  private readonly orphans = new Set<string>();
  private tellOrphaned(gone: readonly string[]): void {
    const news = gone.filter((one) => !this.orphans.has(one));
    this.orphans.clear();
    for (const one of gone) this.orphans.add(one);
    if (news.length > 0) this.options.tell({ isOrphaned: true });
  }

  private wait(): void {
    const { clock, leaseMs } = this.options.settings;
    this.timer = clock.setTimeout(() => {
      // Connected is not joined: a server that loads its data, or is busy, refuses.
      if (this.storeId === '') this.options.onUnjoined();
      else void this.renew();
      if (!this.isClosed) this.wait();
    }, leaseMs / 3);
    unref(this.timer);
  }

  /** People are told when it runs out, not when somebody asks. */
  private watchEnd(): void {
    const { clock } = this.options.settings;
    clock.clearTimeout(this.endTimer);
    if (this.isClosed) return;
    this.endTimer = clock.setTimeout(() => {
      if (!this.isClosed) this.options.onChange();
    }, this.lease.leftMs + 1);
    unref(this.endTimer);
  }
}

function unref(timer: unknown): void {
  if (typeof timer === 'object') (timer as { unref?: () => void } | null)?.unref?.();
}
