// receipt-grant.ts: what a receipt says of a credential: its state, how that is known, and how long it may still work.

import { endless, type GrantState, isOver, laterOf } from './grant-record.ts';
import type { Lent } from './lent.ts';

export interface ReceiptGrant {
  readonly id: string;
  readonly session: string;
  readonly broker: string;
  readonly state: GrantState;
  /** Since when it is in that state. Epoch milliseconds. */
  readonly at: number;
  /** How long after `at` it may still work, at the most. Milliseconds; absent where it does not. */
  readonly residualMs?: number;
  /** How the state is known, or why it is no better. */
  readonly evidence?: string;
}

export function toldGrant({ record }: Pick<Lent, 'record'>): ReceiptGrant {
  const { id, session, broker, state, at, expiresAt, residualUntil, evidence } = record;
  const until = isOver(record) ? residualUntil : expiresAt;
  return {
    id,
    session,
    broker,
    state,
    at,
    ...(until === undefined ? {} : { residualMs: Math.max(0, until - at) }),
    ...(evidence === undefined ? {} : { evidence }),
  };
}

const lineStart = 'Grant ';

/** The line for what a stop cannot promise of a grant; none where it is over. */
export function residueOfGrant({ id, session, broker, state, at, residualMs, evidence }: ReceiptGrant): string | undefined {
  if (residualMs === undefined || residualMs === 0) return undefined;
  const until = at + residualMs;
  const end = until >= endless ? 'it is removed by hand' : new Date(until).toISOString();
  return `${lineStart}${id} of ${session} at ${broker} (${state}) may work until ${end}${evidence === undefined ? '' : `: ${evidence}`}`;
}

/** Is this such a line? Of one process's part: it may be out of date beside what another says. */
export function isGrantResidue(line: string): boolean {
  return line.startsWith(`${lineStart}g-`);
}

/** What several processes say of grants, as one: the latest state of each. */
export function joinTold(parts: Iterable<readonly ReceiptGrant[]>): ReceiptGrant[] {
  const joined = new Map<string, ReceiptGrant>();
  for (const grants of parts)
    for (const one of grants) {
      const before = joined.get(one.id);
      if (!before || laterOf(one, before) >= 0) joined.set(one.id, one);
    }
  return [...joined.values()];
}

/** Is it neither taken back nor known that it cannot be? While one is, access is not revoked, whoever says so. */
export function isUnderWay({ state }: ReceiptGrant): boolean {
  return state === 'issuing' || state === 'revoking';
}
