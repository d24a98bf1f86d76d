// auditor.ts: writes the chain of this process, behind everything else. Nothing waits for it, and nothing it meets lifts or delays
// a stop: what it cannot write is an alarm, and is tried again (I13).

import { messageOf } from '../error-text.ts';
import type { AuditLog } from './audit-log.ts';
import { type AuditEntry, type AuditFact, type AuditHead, headOf, sealEntry } from './entry.ts';
import { frontier } from './frontier.ts';
import { versions } from './versions.ts';

export interface AuditorOptions {
  /** Asked when there is something to write: a store knows only once it is open where it writes. `undefined`: it keeps no audit log, and nothing is noted. */
  readonly log: () => AuditLog | undefined;
  readonly process: string;
  readonly now: () => number;
  /** Told once when it cannot be written, and with `undefined` when it can again. */
  readonly onTrouble: (why: string | undefined) => void;
  /** Runs the work later, and returns the way to call that off; what was not written is tried again. Default: only when the next fact comes. */
  readonly later?: (work: () => void) => () => void;
  /** The same for what was noted: it is written together with what comes meanwhile. Default: at once. */
  readonly soon?: (work: () => void) => () => void;
}

/** What happened, or how to say it when it is written: who and why of a stop may follow it. */
type Noted = AuditFact | (() => AuditFact);

/** Facts kept while the log cannot be written. Past it the newer ones are dropped, and counted. */
const keptFacts = 10_000;
/** Entries written together. */
const together = 256;

export class Auditor {
  private readonly options: AuditorOptions;
  private facts: { readonly fact: Noted; readonly at: number }[] = [];
  /** Sealed and perhaps written: the same bytes are asked for again. */
  private unwritten: readonly AuditEntry[] = [];
  /** The last entry that is written, named in receipts. */
  head: AuditHead | undefined;
  private sealed: AuditHead | undefined;
  private dropped = 0;
  private trouble: string | undefined;
  private running: Promise<void> | undefined;
  private isClosed = false;
  private callOff: (() => void) | undefined;
  private callOffSoon: (() => void) | undefined;

  constructor(options: AuditorOptions) {
    this.options = options;
  }

  /** Never throws and never waits. `at`: when it happened, epoch milliseconds; default now. */
  note(fact: Noted, at: number = this.options.now()): void {
    if (this.isClosed) return;
    if (this.facts.length >= keptFacts) this.dropped++;
    else this.facts.push({ fact, at });
    if (!this.options.soon) this.run();
    else this.callOffSoon ??= this.options.soon(() => this.run());
  }

  now(): number {
    return this.options.now();
  }

  /** Resolves when what was noted so far is written, or could not be; with the trouble in words. */
  async settled(): Promise<string | undefined> {
    do {
      this.run();
      await this.running;
    } while (this.facts.length > 0 && this.trouble === undefined);
    return this.trouble;
  }

  /** Writes what is left, once. A chain that says `closed` was not cut off. */
  async close(): Promise<string | undefined> {
    if (this.sealed || this.facts.length > 0) this.note({ type: 'closed' });
    this.isClosed = true;
    this.callOff?.();
    return this.settled();
  }

  private run(): void {
    this.callOffSoon?.();
    this.callOffSoon = undefined;
    this.running ??= this.write()
      .catch((error) => this.failed(error))
      .finally(() => {
        this.running = undefined;
        // Noted in the moment in which the last round had ended.
        if (this.facts.length > 0 && this.trouble === undefined) this.run();
      });
  }

  private async write(): Promise<void> {
    // Whoever noted it gets on first.
    await Promise.resolve();
    const { now } = this.options;
    const log = this.options.log();
    if (!log) {
      this.facts = [];
      return;
    }
    while (this.unwritten.length > 0 || this.facts.length > 0) {
      if (this.unwritten.length === 0) {
        if (!this.sealed) this.seal([{ fact: await this.opening(log), at: now() }]);
        if (this.dropped > 0) this.facts.splice(together, 0, { fact: { type: 'dropped', count: this.dropped }, at: now() });
        this.dropped = 0;
        this.seal(this.facts.splice(0, together));
      }
      await log.append(this.unwritten);
      this.head = headOf(this.unwritten.at(-1)!);
      this.unwritten = [];
      if (this.trouble !== undefined) this.options.onTrouble(undefined);
      this.trouble = undefined;
    }
  }

  private seal(facts: readonly { readonly fact: Noted; readonly at: number }[]): void {
    const sealed = facts.map(({ fact, at }) => {
      const entry = sealEntry(typeof fact === 'function' ? fact() : fact, at, this.sealed ?? { process: this.options.process });
      this.sealed = headOf(entry);
      return entry;
    });
    this.unwritten = [...this.unwritten, ...sealed];
  }

  private async opening(log: AuditLog): Promise<AuditFact> {
    const opened = { type: 'opened', pid: process.pid, versions } as const;
    try {
      return { ...opened, heads: await frontier(await log.chains(), this.options.process) };
    } catch (error) {
      return { ...opened, heads: [], unread: messageOf(error) };
    }
  }

  private failed(error: unknown): void {
    const why = messageOf(error);
    if (this.trouble === undefined) this.options.onTrouble(why);
    this.trouble = why;
    if (!this.isClosed) this.callOff = this.options.later?.(() => this.run());
  }
}
