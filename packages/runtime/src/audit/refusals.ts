// refusals.ts: paths that were refused, counted where they are many. Whoever can reach a door can be refused at it as often as they
// like; the log, which is kept for ever, grows by one entry for each cause and minute all the same.

import type { Clock } from '../clock.ts';
import type { AuditFact } from './entry.ts';

/** How often one cause is told. Milliseconds. 60,000: a minute's worth of guesses is one fact to whoever reads the log. */
const toldEveryMs = 60_000;

interface Counted {
  /** When the last entry was written, epoch milliseconds. */
  toldAt: number;
  /** Since then. */
  count: number;
  /** Of the last one. */
  message: string;
  timer: unknown;
}

export class Refusals {
  private readonly clock: Clock;
  private readonly note: (fact: AuditFact) => void;
  /** By code; the codes are ours, so they are few. */
  private readonly byCode = new Map<string, Counted>();

  constructor(clock: Clock, note: (fact: AuditFact) => void) {
    this.clock = clock;
    this.note = note;
  }

  /** The first is told at once; those that follow it within a minute, as one, when that is over. */
  refused(code: string, message: string): void {
    const known = this.byCode.get(code);
    const now = this.clock.now();
    if (!known || (known.count === 0 && Math.abs(now - known.toldAt) >= toldEveryMs)) {
      this.byCode.set(code, { toldAt: now, count: 0, message, timer: undefined });
      this.note({ type: 'refused', code, message });
      return;
    }
    known.count++;
    known.message = message;
    known.timer ??= this.after(code, known);
  }

  /** Tells what was counted. */
  close(): void {
    for (const [code, one] of this.byCode) this.tell(code, one);
    this.byCode.clear();
  }

  private after(code: string, one: Counted): unknown {
    const timer = this.clock.setTimeout(() => this.tell(code, one), toldEveryMs);
    // A process that has nothing else to do ends.
    if (typeof timer === 'object') (timer as { unref?: () => void } | null)?.unref?.();
    return timer;
  }

  private tell(code: string, one: Counted): void {
    this.clock.clearTimeout(one.timer);
    one.timer = undefined;
    if (one.count === 0) return;
    this.note({ type: 'refused', code, message: one.message, count: one.count });
    one.count = 0;
    one.toldAt = this.clock.now();
  }
}
