// lent.ts: one credential as this process knows it: its record, and what is never written down.

import type { Clock } from '../clock.ts';
import type { CredentialBroker, GrantHandle } from './broker.ts';
import type { GrantRecord } from './grant-record.ts';

/** A backend's clock may be behind ours: what ran out is counted as alive for so much longer. Milliseconds. */
export const clockSkewMs = 5_000;

/** What a tool asks for. */
export interface GrantRequest {
  /** For whom it is to be good: the backend's own word. Default ''. */
  readonly audience?: string;
  /** Default: none, which is what the broker makes of it. */
  readonly scope?: readonly string[];
  /** Milliseconds, default 600,000: short, so that what cannot be revoked is over soon. At most the broker's `maxTtlMs`, and never longer than the parent session's grant. */
  readonly ttlMs?: number;
}

/** What a tool gets. Ask again rather than keep it: the answer is the same grant while it lives, and a new one after a pause. */
export interface Grant {
  readonly id: string;
  /** Token or password. In memory only: keep it out of results, states and logs. */
  readonly secret: string;
  readonly username?: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export interface Lent {
  record: GrantRecord;
  /** Absent where this process has no broker of that name. */
  readonly broker: CredentialBroker | undefined;
  /** Broker, audience and scope: asked for again, it is the same grant. */
  readonly key: string;
  /** Until when it may be used; taken back then, where the backend would take it for longer. Epoch milliseconds. */
  lentUntil: number;
  secret?: string;
  username?: string;
  /** Nobody tries to take it back any more: it has to run out. */
  isFinal: boolean;
  /** A broker is being asked about it. */
  isTrying: boolean;
  /** Its issue may still be under way: until then no revocation of it is the last one, and it has no end. Milliseconds of the clock that is never set. */
  unansweredUntil: number;
  /** Both clocks when it came to be known here. Milliseconds. */
  knownSince: { readonly now: number; readonly monotonic: number } | undefined;
  /** When it was known here to be over, by the clock that only grows. Milliseconds. */
  overSince: number | undefined;
  /** How often it was tried to take it back, and since when. Milliseconds of the clock that only grows. */
  tries: number;
  triedSince: number | undefined;
  /** When it is tried next. Milliseconds of the clock that is never set. */
  dueAt: number | undefined;
}

export function newLent(record: GrantRecord, broker: CredentialBroker | undefined, key: string): Lent {
  return {
    record,
    broker,
    key,
    lentUntil: record.expiresAt,
    isFinal: false,
    isTrying: false,
    unansweredUntil: 0,
    knownSince: undefined,
    overSince: undefined,
    tries: 0,
    triedSince: undefined,
    dueAt: undefined,
  };
}

/**
 * How long it may still work, 0 or less when that is over. Milliseconds. Both clocks must say so: the wall clock may jump ahead for a moment,
 * and the other one stands still while the machine sleeps.
 */
export function leftMs({ record, unansweredUntil, knownSince }: Lent, clock: Clock): number {
  const until = record.expiresAt + clockSkewMs;
  const monotonic = clock.monotonic();
  const sinceKnown = knownSince ? until - knownSince.now - (monotonic - knownSince.monotonic) : 0;
  return Math.max(until - clock.now(), sinceKnown, unansweredUntil - monotonic);
}

export function handleOf({ record, secret }: Lent): GrantHandle {
  return {
    id: record.id,
    path: record.path,
    ...(record.ref === undefined ? {} : { ref: record.ref }),
    ...(secret === undefined ? {} : { secret }),
  };
}

export function grantOf(lent: Lent): Grant {
  return {
    id: lent.record.id,
    secret: lent.secret!,
    ...(lent.username === undefined ? {} : { username: lent.username }),
    expiresAt: lent.lentUntil,
  };
}
