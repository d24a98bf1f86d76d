// revoker.ts: takes grants back, at least once each and until it is confirmed: tried at once, then with growing pauses, up to
// the day they run out. What cannot be had is said, never dropped (I4).

import type { Clock } from '../clock.ts';
import { messageOf } from '../error-text.ts';
import type { Revocation, RevokeOptions } from './broker.ts';
import { endless, isOver } from './grant-record.ts';
import { brokerTimeoutMs, inTime } from './in-time.ts';
import type { Ledger } from './ledger.ts';
import { handleOf, type Lent, leftMs } from './lent.ts';
import { withoutSecrets } from './without-secrets.ts';

/** The first pause between two tries; it doubles. Milliseconds. */
const firstPauseMs = 250;
/** The longest. Milliseconds. */
const longestPauseMs = 30_000;
/** Not confirmed for this long: said to be irrevocable, alarmed, and tried on. Milliseconds. */
const irrevocableAfterMs = 60_000;
/** Brokers asked at a time: a stop of thousands must not be a storm at the token server. */
const atATime = 16;
/** So long revocations are still begun when the process ends: one that hangs takes ten seconds, and who ends a process waits for thirty. Milliseconds. */
const beginsAtCloseMs = 5_000;

export interface RevokerOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly onAlarm: (message: string, isActive: boolean) => void;
  /** Between 0 and 1. */
  readonly random: () => number;
  /** Something is due at that time (milliseconds of the clock that is never set). */
  readonly onDue: (at: number) => void;
}

export class Revoker {
  private readonly options: RevokerOptions;
  private readonly queue: { readonly about: readonly Lent[]; readonly work: () => Promise<void> }[] = [];
  private readonly running = new Set<Promise<void>>();
  private isClosed = false;
  /** By the monotonic clock. */
  private endsAt = Number.POSITIVE_INFINITY;

  constructor(options: RevokerOptions) {
    this.options = options;
  }

  /** Begins to take these back, leaves first. What is over, or being taken back already, is left as it is. */
  take(lents: Iterable<Lent>, stopId?: string): void {
    const { ledger } = this.options;
    const fresh = [...lents]
      .filter(
        ({ record, isFinal, isTrying }) => record.state === 'active' || (record.state === 'issuing' && !isFinal && !isTrying),
      )
      .sort((a, b) => b.record.path.length - a.record.path.length);
    const whole = new Set<Lent>();
    for (const lent of fresh) {
      if (!lent.broker) continue;
      ledger.change(lent, { state: 'revoking', ...(stopId === undefined ? {} : { stopId }) });
      if (!lent.broker.revokeSubtree || lent.broker.caps.cascade !== 'children') this.enqueue([lent], () => this.one(lent));
      else whole.add(lent);
    }
    for (const lent of [...whole].reverse()) {
      if (!whole.delete(lent)) continue;
      const below = [...whole].filter((one) => one.broker === lent.broker && isBelow(lent, one));
      for (const one of below) whole.delete(one);
      this.enqueue([...below, lent], () => (below.length === 0 ? this.one(lent) : this.subtree(lent, below.reverse())));
    }
  }

  /** Tries again. */
  again(lent: Lent): void {
    lent.dueAt = undefined;
    if (!lent.isTrying) this.enqueue([lent], () => this.one(lent));
  }

  /** It has to run out: said once, loudly. */
  giveUp(lent: Lent, why: string): void {
    lent.isFinal = true;
    lent.dueAt = undefined;
    if (leftMs(lent, this.options.clock) <= 0) this.ranOut(lent, why);
    else this.irrevocable(lent, why);
  }

  /** By both clocks the backend takes it no more, and there is nothing left to ask. */
  ranOut(lent: Lent, why?: string): void {
    lent.dueAt = undefined;
    this.options.ledger.change(lent, { state: 'expired', evidence: why === undefined ? 'it ran out' : `it ran out; ${why}` });
    delete lent.secret;
  }

  /** The broker says of what was in doubt that it was not issued. */
  neverWas(lent: Lent, why: string): void {
    const wasSaid = lent.record.state === 'irrevocable';
    lent.dueAt = undefined;
    this.options.ledger.change(lent, { state: 'not-issued', evidence: why });
    if (wasSaid) this.options.onAlarm(`${nameOf(lent)} was not issued after all`, false);
  }

  /** Begins nothing more after a while; resolves when what was begun has an answer. The rest is the next process's, as its records say. */
  async close(): Promise<void> {
    this.endsAt = this.options.clock.monotonic() + beginsAtCloseMs;
    while (this.running.size > 0) await Promise.all(this.running);
    this.isClosed = true;
  }

  private enqueue(about: readonly Lent[], work: () => Promise<void>): void {
    if (this.isClosed) return;
    this.queue.push({ about, work });
    this.pump();
  }

  private pump(): void {
    while (this.running.size < atATime && this.options.clock.monotonic() < this.endsAt) {
      const next = this.queue.shift();
      if (!next) return;
      // An answer that nobody foresaw is as that of a broker which fails: it takes nothing down, and is asked for again (I13).
      const failed = (error: unknown): void => {
        for (const lent of next.about)
          try {
            this.settle(lent, { state: 'pending', why: messageOf(error) }, this.options.clock.monotonic());
          } catch {
            this.later(lent);
          }
      };
      const run: Promise<void> = next
        .work()
        .catch(failed)
        .finally(() => {
          this.running.delete(run);
          this.pump();
        });
      this.running.add(run);
    }
  }

  /** The whole branch in one step, then each of it as far as that was not confirmed. */
  private async subtree(top: Lent, below: readonly Lent[]): Promise<void> {
    const { broker, record } = top;
    for (const one of [...below, top]) one.isTrying = true;
    const askedAt = this.options.clock.monotonic();
    const answer = await this.answer(() => broker!.revokeSubtree!(record.path, this.optionsFor(top)));
    for (const one of [...below, top]) {
      one.isTrying = false;
      if (answer.state === 'revoked')
        this.enqueue([one], async () => this.settle(one, await this.verified(one, answer), askedAt));
      else this.enqueue([one], () => this.one(one));
    }
  }

  private async one(lent: Lent): Promise<void> {
    if (isOver(lent.record) || lent.isTrying || lent.isFinal) return;
    lent.isTrying = true;
    const askedAt = this.options.clock.monotonic();
    const answer = await this.answer(() => lent.broker!.revoke(handleOf(lent), this.optionsFor(lent)));
    this.settle(lent, answer.state === 'revoked' ? await this.verified(lent, answer) : answer, askedAt);
  }

  private optionsFor({ record }: Lent): RevokeOptions {
    const deadline = this.options.clock.now() + brokerTimeoutMs;
    return { deadline, ...(record.stopId === undefined ? {} : { stopId: record.stopId }) };
  }

  private async answer(ask: () => Promise<Revocation>): Promise<Revocation> {
    try {
      const answer: unknown = await inTime(this.options.clock, ask);
      return isRevocation(answer) ? answer : { state: 'pending', why: 'the broker gave an answer that is none' };
    } catch (error) {
      return { state: 'pending', why: messageOf(error) };
    }
  }

  /** A backend's word is checked where it can be. */
  private async verified(lent: Lent, answer: Extract<Revocation, { state: 'revoked' }>): Promise<Revocation> {
    const { broker } = lent;
    if (!broker?.caps.canVerify || !broker.verify) return answer;
    lent.isTrying = true;
    let found: 'active' | 'inactive' | 'unknown';
    try {
      found = await inTime(this.options.clock, () => broker.verify!(handleOf(lent)));
    } catch {
      found = 'unknown';
    }
    const words = answer.evidence ?? 'the backend said so';
    switch (found) {
      case 'inactive':
        return { ...answer, evidence: `${words}; verified: inactive` };
      case 'active':
        // Where something may outlive the revocation, that may be what it sees: looked at again when that is over.
        return { state: 'pending', why: 'it was revoked, and still counts as active', retryAfterMs: answer.residualMs };
      case 'unknown':
        break;
    }
    // Also where a broker says something else.
    return { ...answer, evidence: `${words}; not verified` };
  }

  /** `askedAt`: when the broker was asked to revoke it, by the clock that is never set. What was issued after that is not in its answer. */
  private settle(lent: Lent, said: Revocation, askedAt: number): void {
    const { clock, ledger, random } = this.options;
    lent.isTrying = false;
    if (isOver(lent.record)) return;
    const now = clock.now();
    const isEarly = said.state === 'revoked' && askedAt < lent.unansweredUntil;
    const answer: Revocation = isEarly ? { state: 'pending', why: 'the broker was asked for it, and may still issue it' } : said;
    switch (answer.state) {
      case 'revoked': {
        const residual = Number.isNaN(Number(answer.residualMs)) ? (lent.broker?.caps.maxResidualMs ?? 0) : answer.residualMs;
        const wasSaid = lent.record.state === 'irrevocable';
        ledger.change(lent, {
          state: 'revoked',
          evidence: answer.evidence ?? 'the backend said so',
          ...(residual > 0 ? { residualUntil: Math.min(lent.record.expiresAt, now + residual) } : {}),
        });
        delete lent.secret;
        if (wasSaid) this.options.onAlarm(`${nameOf(lent)} is revoked after all`, false);
        return;
      }
      case 'irrevocable':
        this.giveUp(lent, withoutSecrets(answer.why, [lent.secret]));
        return;
      case 'pending': {
        lent.tries++;
        lent.triedSince ??= clock.monotonic();
        const isLong = clock.monotonic() - lent.triedSince >= irrevocableAfterMs;
        // The backend is asked past the end too, for our clock may be wrong; but not for ever.
        if (isLong && leftMs(lent, clock) <= 0) {
          this.ranOut(lent, answer.why);
          return;
        }
        const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(lent.tries - 1, 16));
        // Half of it is left to chance, so that ten processes do not come back together.
        const { retryAfterMs = 0 } = answer;
        const askedMs = retryAfterMs > 0 ? Math.min(retryAfterMs, irrevocableAfterMs) : 0;
        lent.dueAt = clock.monotonic() + Math.max(askedMs, pauseMs * (0.5 + random() / 2));
        // The first moment at which a revocation is the last one.
        if (isEarly) lent.dueAt = Math.min(lent.dueAt, lent.unansweredUntil);
        if (isLong && lent.record.state !== 'irrevocable') this.irrevocable(lent, answer.why);
        else if (lent.record.evidence !== withoutSecrets(answer.why, [lent.secret]))
          ledger.change(lent, { evidence: answer.why });
        this.options.onDue(lent.dueAt);
      }
    }
  }

  /** Tried again, whatever it was that failed. */
  private later(lent: Lent): void {
    lent.dueAt = this.options.clock.monotonic() + longestPauseMs;
    this.options.onDue(lent.dueAt);
  }

  private irrevocable(lent: Lent, why: string): void {
    this.options.ledger.change(lent, { state: 'irrevocable', evidence: why });
    const { expiresAt } = lent.record;
    const leftMs = Math.max(0, expiresAt - this.options.clock.now());
    const time = expiresAt >= endless ? 'until it is removed by hand' : `for up to ${leftMs} ms`;
    this.options.onAlarm(`${nameOf(lent)} could not be revoked and lives ${time}: ${lent.record.evidence}`, true);
  }
}

/** Brokers are anybody's code. */
function isRevocation(value: unknown): value is Revocation {
  if (typeof value !== 'object' || value === null) return false;
  const { state } = value as Partial<Record<keyof Revocation, unknown>>;
  return state === 'revoked' || state === 'pending' || state === 'irrevocable';
}

function nameOf({ record }: Lent): string {
  return `the grant ${record.id} of session ${record.session} at ${record.broker}`;
}

function isBelow(top: Lent, { record }: Lent): boolean {
  return record.path.length > top.record.path.length && top.record.path.every((id, at) => record.path[at] === id);
}
