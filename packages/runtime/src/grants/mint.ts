// mint.ts: how a credential comes to be lent: guard, durable record, guard again, ask the broker, guard once more, hand out.
//
// The record is durable before the secret exists, so that a crash at any point leaves something to take back. A credential that
// comes after the stop is taken back at once and handed to nobody.

import type { Clock } from '../clock.ts';
import { RuntimeError } from '../error.ts';
import { messageOf } from '../error-text.ts';
import { mintId } from '../id.ts';
import type { CredentialBroker, GrantHandle, Issued } from './broker.ts';
import { endless, isOver } from './grant-record.ts';
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
      // Issued at the last moment at which we wait for it, it lives this long.
      expiresAt: now + brokerTimeoutMs + ttlMs,
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
    lent.unansweredUntil = Number.POSITIVE_INFINITY;
    void asked?.then(
      (late) => cameLate(options, lent, late.status === 'issued' ? late : undefined),
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
  take(lent, issued, now + ttlMs);
  ledger.change(lent, {
    state: 'active',
    ...writtenOf(issued),
    ...(lent.lentUntil < issued.expiresAt ? { lentUntil: lent.lentUntil } : {}),
  });
  if (asker.mayGoOn()) return lent;
  revoker.take([lent]);
  return 'stopped';
}

function take(lent: Lent, issued: Extract<Issued, { status: 'issued' }>, untilMs: number): void {
  lent.secret = issued.secret;
  if (issued.username !== undefined) lent.username = issued.username;
  lent.lentUntil = Math.min(issued.expiresAt, untilMs);
}

/** It may have been issued: taken back by its id, or left to run out. */
export function doubtful({ revoker }: Pick<MintOptions, 'revoker'>, lent: Lent, why: string): void {
  const { broker, record } = lent;
  if (broker?.caps.revokesById === false && record.ref === undefined)
    revoker.giveUp(lent, `it is not known whether it was issued (${why}), and this broker revokes nothing by its id`);
  else revoker.take([lent]);
}

/** The answer after all: now it can be taken back by what it says. */
function cameLate({ ledger, revoker }: MintOptions, lent: Lent, issued: Extract<Issued, { status: 'issued' }> | undefined): void {
  lent.unansweredUntil = 0;
  if (isOver(lent.record)) return;
  if (issued) {
    take(lent, issued, lent.lentUntil);
    lent.isFinal = false;
    ledger.change(lent, writtenOf(issued));
  }
  revoker.again(lent);
}

function writtenOf({ expiresAt, ref }: Extract<Issued, { status: 'issued' }>): {
  readonly expiresAt: number;
  readonly ref?: string;
} {
  return { expiresAt: Math.min(expiresAt, endless), ...(ref === undefined ? {} : { ref }) };
}
