// mint.ts: how a credential comes to be lent: guard, durable record, guard again, ask the broker, guard once more, hand out.
//
// The record is durable before the secret exists, so that a crash at any point leaves something to take back. A credential that
// comes after the stop is taken back at once and handed to nobody.

import type { Clock } from '../clock.ts';
import { RuntimeError } from '../error.ts';
import { messageOf } from '../error-text.ts';
import { mintId } from '../id.ts';
import type { CredentialBroker, GrantHandle, Issued } from './broker.ts';
import { endless } from './grant-record.ts';
import { brokerTimeoutMs, inTime } from './in-time.ts';
import type { Ledger } from './ledger.ts';
import { type Lent, newLent } from './lent.ts';
import type { Revoker } from './revoker.ts';

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

/** `stopped`: it may not go on, and nothing lives. Rejects with `grant_failed`, or with what the store threw (nothing was asked for then). */
export async function mint(
  options: MintOptions,
  asker: Asker,
  wanted: Wanted,
  parent: { readonly handle: GrantHandle; readonly lentUntil: number } | undefined,
): Promise<Lent | 'stopped'> {
  const { clock, ledger, revoker } = options;
  const { broker, name, audience, scope } = wanted;
  const longestMs = broker.caps.maxLifetimeMs;
  const now = clock.now();
  const ttlMs = parent ? Math.min(wanted.ttlMs, parent.lentUntil - now) : wanted.ttlMs;
  const lent = newLent(
    {
      id: mintId('g-'),
      session: asker.id,
      path: asker.path,
      broker: name,
      audience,
      scope,
      process: options.process,
      state: 'issuing',
      at: now,
      // A backend may give it longer than was asked for. Issued at the last moment at which we wait for it, it lives this long.
      expiresAt: longestMs === undefined ? endless : now + brokerTimeoutMs + longestMs,
    },
    broker,
    wanted.key,
  );
  // Nobody takes back what is being asked for: that is done here, when there is an answer.
  lent.isTrying = true;
  ledger.add(lent);
  try {
    await ledger.save(lent);
  } catch (error) {
    // It may have been written all the same, and who waits for it must hear that it is over.
    lent.isTrying = false;
    ledger.change(lent, { state: 'not-issued', evidence: 'its record could not be written, so the broker was not asked' });
    throw error;
  }
  if (!asker.mayGoOn()) {
    lent.isTrying = false;
    ledger.change(lent, { state: 'not-issued', evidence: 'the session was stopped before the broker was asked' });
    return 'stopped';
  }
  let asked: Promise<Issued> | undefined;
  let issued: Issued;
  try {
    issued = await inTime(clock, (signal) => {
      const request = { id: lent.record.id, path: asker.path, audience, scope, ttlMs, signal };
      asked = broker.issue(parent ? { ...request, parent: parent.handle } : request);
      return asked;
    });
  } catch (error) {
    lent.isTrying = false;
    // Rejected, it has been answered; else it may be issued until it is, whatever is revoked before.
    lent.unansweredUntil = asked ? Number.POSITIVE_INFINITY : 0;
    void asked?.then(
      (late) => cameLate(options, lent, late),
      () => cameLate(options, lent, undefined),
    );
    doubtful(options, lent, messageOf(error));
    if (!asker.mayGoOn()) return 'stopped';
    throw new RuntimeError('grant_failed', `${name} did not lend a credential: ${messageOf(error)}`, { cause: error });
  }
  lent.isTrying = false;
  if (issued.status === 'refused') {
    ledger.change(lent, { state: 'not-issued', evidence: issued.why });
    if (!asker.mayGoOn()) return 'stopped';
    throw new RuntimeError('grant_failed', `${name} refused to lend a credential: ${issued.why}`);
  }
  const written = take(lent, issued, now + ttlMs, clock);
  const isUsable = lent.lentUntil > clock.now();
  ledger.change(lent, {
    ...written,
    ...(isUsable ? { state: 'active', ...(lent.lentUntil < issued.expiresAt ? { lentUntil: lent.lentUntil } : {}) } : {}),
  });
  const mayGoOn = asker.mayGoOn();
  if (mayGoOn && isUsable) return lent;
  revoker.take([lent]);
  if (!mayGoOn) return 'stopped';
  const why =
    now + ttlMs <= clock.now()
      ? `it took longer to come than the ${ttlMs} ms that were asked for`
      : `its end is no moment to come (${String(issued.expiresAt)}); is the backend's clock behind?`;
  throw new RuntimeError('grant_failed', `${name} lent a credential that was of no use, and it is taken back: ${why}`);
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
  lent.unansweredUntil = 0;
  if (late?.status === 'refused') {
    revoker.neverWas(lent, late.why);
    return;
  }
  if (late) lent.isFinal = false;
  ledger.change(lent, late ? take(lent, late, lent.lentUntil, clock) : {});
  revoker.again(lent);
}
