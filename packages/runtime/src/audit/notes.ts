// notes.ts: what of all that happens in a process is a fact for the audit log, and in which words.

import type { Clock } from '../clock.ts';
import type { RuntimeEvent } from '../event.ts';
import { type GrantRecord, isOver } from '../grants/grant-record.ts';
import type { Resolution } from '../journal.ts';
import { describeStop } from '../stop-entry.ts';
import type { StopChange } from '../stop-set.ts';
import type { Auditor } from './auditor.ts';
import type { AuditFact, AuditHead } from './entry.ts';
import { Refusals } from './refusals.ts';

/** Sessions of a takeover that are named. */
const namedSessions = 100;

export class AuditNotes {
  private readonly auditor: Auditor;
  private readonly refusals: Refusals;
  private readonly grantStates = new Map<string, string>();

  constructor(auditor: Auditor, clock: Clock) {
    this.auditor = auditor;
    this.refusals = new Refusals(clock, (fact) => auditor.note(fact));
  }

  /** The last entry that is written. */
  get head(): AuditHead | undefined {
    return this.auditor.head;
  }

  stop(change: StopChange): void {
    const { entry, engaged } = change;
    if (engaged === change.wasEngaged) return;
    const details = engaged ? entry.details : entry.releasedDetails;
    const n = engaged ? entry.marks.engaged : entry.marks.released;
    const at = this.auditor.now();
    const fact = (): AuditFact => {
      // Who and why of one that another process made may have followed.
      const known = details ?? (engaged ? entry.details : entry.releasedDetails);
      const { id, cause, tier, action, subject, reason } = describeStop({ ...entry, details: engaged ? known : entry.details });
      return {
        type: engaged ? 'stop-engaged' : 'stop-released',
        stop: id,
        cause,
        tier,
        action,
        subject,
        reason: engaged ? reason : (known?.reason ?? ''),
        ...(known?.by === undefined ? {} : { by: known.by }),
        position: { ...(known?.series === undefined ? {} : { series: known.series }), n },
        ...(change.isLearned ? { isLearned: true as const } : {}),
      };
    };
    // The latch has the disk to itself.
    void change.latched.then(() => this.auditor.note(fact, at));
  }

  event(event: RuntimeEvent): void {
    if (event.type === 'stage') this.auditor.note({ type: 'stage', stop: event.stop, stage: event.stage });
    else if (event.type === 'refused') this.refused(event);
  }

  refused({ code, message }: { readonly code: string; readonly message: string }): void {
    this.refusals.refused(code, message);
  }

  resumed(session: string, by: string, reason: string): void {
    this.auditor.note({ type: 'resumed', session, by, reason });
  }

  resolved(resolution: Resolution): void {
    this.auditor.note(resolvedFact(resolution));
  }

  takeover(side: 'taken' | 'lost', sessions: readonly string[]): void {
    if (sessions.length === 0) return;
    this.auditor.note({ type: 'takeover', side, sessions: sessions.slice(0, namedSessions), count: sessions.length });
  }

  /** Lent, and what became of it; not the steps in between. */
  grant(record: GrantRecord): void {
    const { id, session, broker, state, stopId } = record;
    if (state === 'issuing' || state === 'revoking' || this.grantStates.get(id) === state) return;
    if (isOver(record)) this.grantStates.delete(id);
    else this.grantStates.set(id, state);
    this.auditor.note({ type: 'grant', grant: id, session, broker, state, ...(stopId === undefined ? {} : { stop: stopId }) });
  }

  forensics(session: string, stop: string | undefined, digest: string): void {
    this.auditor.note({ type: 'forensics', session, ...(stop === undefined ? {} : { stop }), digest });
  }

  async close(): Promise<void> {
    this.refusals.close();
    await this.auditor.close();
  }
}

/** The value itself is the agent's affair, and may be anything. */
export function resolvedFact({ session, call, verdict, by, reason, value }: Resolution): AuditFact {
  return {
    type: 'resolved',
    session,
    call,
    verdict,
    by,
    ...(reason === undefined ? {} : { reason }),
    hasValue: value !== undefined,
  };
}
