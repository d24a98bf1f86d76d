// mint.ts: how a credential comes to be lent: guard, durable record, guard again, ask the broker, guard once more, hand out.
//
// The record is durable before the secret exists, so that a crash at any point leaves something to take back. A credential that
// comes after the stop is taken back at once and handed to nobody.

import type { Clock } from '../clock.ts';
import { RuntimeError } from '../error.ts';
import { messageOf } from '../error-text.ts';
import { mintId } from '../id.ts';
import type { CredentialBroker, GrantHandle, Issued } from './broker.ts';
import { endless, type GrantRecord } from './grant-record.ts';
import { brokerTimeoutMs, inTime } from './in-time.ts';
import type { Ledger } from './ledger.ts';
import { clockSkewMs, type Lent, newLent } from './lent.ts';
import type { Revoker } from './revoker.ts';
import { withoutSecrets } from './without-secrets.ts';

/** A request with everything filled in. */
export interface Wanted {
  readonly name: string;
  readonly broker: CredentialBroker;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly ttlMs: number;
  readonly key: string;
}

/** What the mint needs to know of the session that asks. */
export interface Asker {
  readonly id: string;
  readonly path: readonly string[];
  /** May it be given anything now? Asked again after every wait. */
  mayGoOn(): boolean;
}

export interface MintOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly revoker: Revoker;
  readonly process: string;
}

/** What is about to be asked for, in the ledger. Its record is tried again, and none made anew, until the store has taken it in. */
export function newGrant({ ledger, process }: MintOptions, asker: Asker, { broker, name, audience, scope, key }: Wanted): Lent {
  const record: GrantRecord = {
    id: mintId('g-'),
    session: asker.id,
    path: asker.path,
    broker: name,
    audience,
    scope,
    process,
    state: 'issuing',
    at: 0,
    expiresAt: endless,
  };
  const lent = newLent(record, broker, key);
  // Nobody takes back what is being asked for: that is done here, when there is an answer.
  lent.isTrying = true;
  ledger.add(lent);
  return lent;
}

/** The broker was not asked. Its record may be in the store all the same, though that did not say so: who waits for it must hear that it is over. */
export function notAsked({ ledger }: MintOptions, lent: Lent, evidence: string): void {
  lent.isTrying = false;
  ledger.change(lent, { state: 'not-issued', evidence });
}

/** What the broker is to be asked for, as its record says it. */
export interface ToAsk {
  readonly lent: Lent;
  readonly parent: { readonly handle: GrantHandle; readonly lentUntil: number } | undefined;
  readonly ttlMs: number;
  /** Epoch milliseconds. */
  readonly untilMs: number;
  /** By the clock that only grows. Milliseconds. */
  readonly since: number;
}

/** Resolves once the record is durable. Rejects with what the store threw: it may be called again with the same `lent`. */
export async function written(
  { clock, ledger }: MintOptions,
  wanted: Wanted,
  lent: Lent,
  parent: ToAsk['parent'],
): Promise<ToAsk> {
  const longestMs = wanted.broker.caps.maxLifetimeMs;
  const now = clock.now();
  const ttlMs = parent ? Math.min(wanted.ttlMs, parent.lentUntil - now) : wanted.ttlMs;
  // A backend may give it longer than was asked for. Issued at the last moment at which we wait for it, it lives this long.
  lent.lentUntil = longestMs === undefined ? endless : now + brokerTimeoutMs + longestMs;
  lent.record = { ...lent.record, at: now, expiresAt: lent.lentUntil };
  await ledger.save(lent);
  return { lent, parent, ttlMs, untilMs: now + ttlMs, since: clock.monotonic() };
}

/** `nothing` lives: it may not go on, or a clock was set meanwhile, and it is to be asked for anew. Rejects with `grant_failed`. */
export async function mint(
  options: MintOptions,
  asker: Asker,
  wanted: Wanted,
  { lent, parent, ttlMs, untilMs, since }: ToAsk,
): Promise<Lent | 'nothing'> {
  const { clock, ledger, revoker } = options;
  const { broker, name, audience, scope } = wanted;
  if (!asker.mayGoOn()) {
    notAsked(options, lent, 'the session was stopped before the broker was asked');
    return 'nothing';
  }
  let asked: Promise<Issued> | undefined;
  let isRejected = false;
  let issued: Issued;
  try {
    issued = await inTime(clock, (signal) => {
      const request = { id: lent.record.id, path: asker.path, audience, scope, ttlMs, signal };
      // A broker may answer at once.
      asked = Promise.resolve(broker.issue(parent ? { ...request, parent: parent.handle } : request));
      asked.catch(() => {
        isRejected = true;
      });
      return asked;
    });
    if (!isIssued(issued)) throw new Error('the broker gave an answer that is none');
  } catch (error) {
    lent.isTrying = false;
    // Rejected, it has been answered; else it may be issued until it is, whatever is revoked before.
    if (!asked || isRejected) ledger.change(lent, { isAnswered: true });
    else {
      lent.unansweredUntil = Number.POSITIVE_INFINITY;
      void asked.then(
        (late) => cameLate(options, lent, late),
        () => cameLate(options, lent, undefined),
      );
    }
    const why = withoutSecrets(messageOf(error), [parent?.handle.secret]);
    doubtful(options, lent, why);
    if (!asker.mayGoOn()) return 'nothing';
    throw new RuntimeError('grant_failed', `${name} did not lend a credential: ${why}`, { cause: error });
  }
  lent.isTrying = false;
  if (issued.status === 'refused') {
    const why = withoutSecrets(issued.why, [parent?.handle.secret]);
    ledger.change(lent, { state: 'not-issued', evidence: why });
    if (!asker.mayGoOn()) return 'nothing';
    throw new RuntimeError('grant_failed', `${name} refused to lend a credential: ${why}`);
  }
  const said = take(lent, issued, untilMs, clock);
  const isUsable = lent.lentUntil > clock.now();
  ledger.change(lent, {
    ...said,
    isAnswered: true,
    ...(isUsable ? { state: 'active', ...(lent.lentUntil < issued.expiresAt ? { lentUntil: lent.lentUntil } : {}) } : {}),
  });
  const mayGoOn = asker.mayGoOn();
  if (mayGoOn && isUsable) return lent;
  revoker.take([lent]);
  const isLate = untilMs <= clock.now();
  const wasSet = clock.now() - untilMs + ttlMs - (clock.monotonic() - since) > clockSkewMs;
  // Cut short by the end of the one above, which is over by now: asked for anew, it has none above it.
  if (!mayGoOn || (isLate && (wasSet || ttlMs < wanted.ttlMs))) return 'nothing';
  const why = isLate
    ? `it took longer to come than the ${ttlMs} ms that were asked for`
    : `its end is no moment to come (${String(issued.expiresAt)}); is the backend's clock behind?`;
  throw new RuntimeError('grant_failed', `${name} lent a credential that was of no use, and it is taken back: ${why}`);
}

/** Brokers are anybody's code. */
function isIssued(value: unknown): value is Issued {
  if (typeof value !== 'object' || value === null) return false;
  const { status, secret } = value as Partial<Record<keyof GoodIssue, unknown>>;
  return status === 'refused' || (status === 'issued' && typeof secret === 'string');
}

type GoodIssue = Extract<Issued, { status: 'issued' }>;

/** What of it is written down. An end that is none to come is not believed: the bound stays. */
function take(
  lent: Lent,
  issued: GoodIssue,
  untilMs: number,
  clock: Clock,
): { readonly expiresAt?: number; readonly ref?: string } {
  const { expiresAt, ref, secret, username } = issued;
  lent.secret = secret;
  if (username !== undefined) lent.username = username;
  // A NaN is above nothing.
  const isToCome = typeof expiresAt === 'number' && expiresAt > clock.now();
  lent.lentUntil = isToCome ? Math.min(expiresAt, untilMs) : 0;
  return { ...(isToCome ? { expiresAt: Math.min(expiresAt, endless) } : {}), ...(ref === undefined ? {} : { ref }) };
}

/** It may have been issued: taken back by its id, or left to run out. */
export function doubtful({ revoker }: Pick<MintOptions, 'revoker'>, lent: Lent, why: string): void {
  const { broker, record } = lent;
  if (broker?.caps.revokesById === false && record.ref === undefined)
    revoker.giveUp(lent, `it is not known whether it was issued (${why}), and this broker revokes nothing by its id`);
  else revoker.take([lent]);
}

/** The answer after all: now it can be taken back by what it says. Nothing is over before that (leftMs), so it is never too late. */
function cameLate({ clock, ledger, revoker }: MintOptions, lent: Lent, late: Issued | undefined): void {
  // What was asked before counts for nothing, and may be under way.
  lent.unansweredUntil = clock.monotonic();
  if (late?.status === 'refused') {
    revoker.neverWas(lent, withoutSecrets(late.why, []));
    return;
  }
  if (late) lent.isFinal = false;
  ledger.change(lent, { isAnswered: true, ...(late ? take(lent, late, lent.lentUntil, clock) : {}) });
  revoker.again(lent);
}
