// ledger.ts: every grant that this process lent or took over, by session; written down with each change, and again until it is.

import type { Clock } from '../clock.ts';
import { type GrantRecord, type GrantStore, isOver } from './grant-record.ts';
import type { Lent } from './lent.ts';
import { withoutSecrets } from './without-secrets.ts';

/** Grants that are known to be over stay this long for the receipts that tell of them: by the clock that is never set. Milliseconds. */
const keptMs = 600_000;
/** What the store refused is written again. Milliseconds. */
const saveAgainMs = 1_000;

export interface LedgerOptions {
  readonly clock: Clock;
  readonly store: GrantStore | undefined;
  readonly onChange: (lent: Lent) => void;
  readonly onAlarm: (message: string, isActive: boolean) => void;
  /** Something is to be done at that time (milliseconds of the clock that is never set). */
  readonly onDue: (at: number) => void;
}

export class Ledger {
  private readonly options: LedgerOptions;
  private readonly bySession = new Map<string, Set<Lent>>();
  private readonly ids = new Set<string>();
  private readonly unsaved = new Set<Lent>();
  private readonly writing = new Set<Promise<void>>();
  private againAt = 0;

  constructor(options: LedgerOptions) {
    this.options = options;
  }

  get size(): number {
    return this.ids.size;
  }

  get sessions(): Iterable<string> {
    return this.bySession.keys();
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  get(session: string, id: string): Lent | undefined {
    for (const one of this.of(session)) if (one.record.id === id) return one;
    return undefined;
  }

  of(session: string): Iterable<Lent> {
    return this.bySession.get(session) ?? [];
  }

  *all(): Generator<Lent> {
    for (const lents of this.bySession.values()) yield* lents;
  }

  add(lent: Lent): void {
    const { session, id } = lent.record;
    const { clock } = this.options;
    lent.knownSince = { now: clock.now(), monotonic: clock.monotonic() };
    if (isOver(lent.record)) lent.overSince = clock.monotonic();
    this.ids.add(id);
    const lents = this.bySession.get(session);
    if (lents) lents.add(lent);
    else this.bySession.set(session, new Set([lent]));
  }

  drop(lent: Lent): void {
    const { session, id } = lent.record;
    this.ids.delete(id);
    this.unsaved.delete(lent);
    const lents = this.bySession.get(session);
    lents?.delete(lent);
    if (lents?.size === 0) this.bySession.delete(session);
  }

  /** Another state, or more words. Takes hold at once; a store that fails delays no revocation (I13). */
  change(lent: Lent, change: Partial<GrantRecord>): void {
    const at = change.state === undefined || change.state === lent.record.state ? lent.record.at : this.options.clock.now();
    const { evidence } = change;
    const told = evidence === undefined ? {} : { evidence: withoutSecrets(evidence, [lent.secret]) };
    lent.record = { ...lent.record, at, ...change, ...told };
    if (isOver(lent.record)) lent.overSince ??= this.options.clock.monotonic();
    this.write(lent);
    this.options.onChange(lent);
  }

  /** The store may have lost what it took last. Those that are over too: else it would tell of them as they were. */
  writeAgain(): void {
    for (const lent of this.all()) this.write(lent);
  }

  private write(lent: Lent): void {
    const work = this.save(lent).catch((error) => {
      // Dropped meanwhile: the broker was not asked.
      if (!this.has(lent.record.id)) return;
      if (this.unsaved.size === 0) {
        this.againAt = this.options.clock.monotonic() + saveAgainMs;
        this.options.onAlarm(`what became of a grant could not be written down; it is tried again: ${String(error)}`, true);
      }
      this.unsaved.add(lent);
      this.options.onDue(this.dueAt);
    });
    this.writing.add(work);
    void work.then(() => this.writing.delete(work));
  }

  /** Writes it down as it is now. Rejects when the store cannot. */
  async save(lent: Lent): Promise<void> {
    await this.options.store?.put(lent.record);
    if (this.unsaved.delete(lent) && this.unsaved.size === 0)
      this.options.onAlarm('what became of the grants is written down again', false);
  }

  /** When something has to be written again. Milliseconds of the clock that is never set. */
  get dueAt(): number {
    return this.unsaved.size === 0 ? Number.POSITIVE_INFINITY : this.againAt;
  }

  saveAgain(): void {
    const now = this.options.clock.monotonic();
    if (now < this.dueAt) return;
    this.againAt = now + saveAgainMs;
    for (const lent of this.unsaved) void this.save(lent).catch(() => {});
  }

  /** Resolves when what was begun is written, or was refused. */
  async settle(): Promise<void> {
    await Promise.all(this.writing);
  }

  /** Forgets what is over since long. */
  tidy(): void {
    const { clock } = this.options;
    const gone = [...this.all()].filter(
      ({ record, overSince }) =>
        overSince !== undefined && clock.monotonic() - overSince > keptMs && (record.residualUntil ?? 0) < clock.now() - keptMs,
    );
    if (gone.length === 0) return;
    for (const lent of gone) this.drop(lent);
    void this.options.store?.remove(gone.map(({ record }) => record)).catch(() => {
      // They are over: whoever opens the store next removes them.
    });
  }
}
