// grant-record.ts: what is written down of a credential that was lent: who, what for, in which state. Never the secret.
//
// Several processes may write of one grant: the one that lent it and, when that is gone, whoever takes it back. States only
// go forward, so what they wrote is joined and nobody needs a lock (I10).

/** In the order in which they follow each other. */
const order = ['issuing', 'active', 'revoking', 'irrevocable', 'expired', 'not-issued', 'revoked'] as const;

/**
 * `issuing`: written before the broker is asked; it may live. `active`: lent. `revoking`: being taken back, and alive until that is
 * confirmed. `irrevocable`: could not be taken back; it lives for the residual time that is stated, and is tried again where that makes
 * sense. `expired`: ran out. `not-issued`: the broker said no, or was never asked. `revoked`: confirmed by the backend.
 */
export type GrantState = (typeof order)[number];

/** What has no end by itself: the last moment that a date can name, so that it survives JSON (ECMA-262, section 21.4.1.1). Epoch milliseconds. */
export const endless = 8.64e15;

export interface GrantRecord {
  readonly id: string;
  readonly session: string;
  /** Root first, the session last. */
  readonly path: readonly string[];
  /** The name under which the broker was given to `createRuntime`. */
  readonly broker: string;
  readonly audience: string;
  readonly scope: readonly string[];
  /** Who lent it and, while that process lives, takes it back. */
  readonly process: string;
  readonly state: GrantState;
  /** Since when it is in that state. Epoch milliseconds. */
  readonly at: number;
  /** The latest moment at which the backend may still take it; a bound until the broker has answered. Epoch milliseconds. */
  readonly expiresAt: number;
  /** Until when it is lent, where the backend would take it for longer. Epoch milliseconds. */
  readonly lentUntil?: number;
  /** The broker's handle for revoking it. */
  readonly ref?: string;
  /** The broker has answered what it was asked, or said that it never will: nothing is issued any more under this id. */
  readonly isAnswered?: true;
  /** How the state is known, or why it is no better. */
  readonly evidence?: string;
  /** Revoked, but something may still work until then. Epoch milliseconds. */
  readonly residualUntil?: number;
  /** The stop it was first revoked for. */
  readonly stopId?: string;
}

/** One grant as the store knows it. */
export interface KeptGrant {
  readonly record: GrantRecord;
  /** Is the process that lent it running? One that is not takes nothing back any more. */
  readonly isOwnerAlive: boolean;
}

/**
 * Where grants are written down. What an implementation must do: keep one part per grant and writing process, so that nobody
 * overwrites another's; `put` replaces the writer's own part and resolves when that survives the loss of the process (and, where
 * the store promises it, of power); parts put one after another are kept in that order; `list` joins the parts with `joinGrants`.
 */
export interface GrantStore {
  put(record: GrantRecord): Promise<void>;
  /** All of them, or those of one graph, in no order. Rejects when they cannot be read; it never answers an empty list for that. */
  list(root?: string): Promise<readonly KeptGrant[]>;
  /** Forgets grants that can do nothing any more, whoever wrote of them. */
  remove(grants: readonly Pick<GrantRecord, 'id' | 'path'>[]): Promise<void>;
}

/** Which of two words on one grant is the later one: above 0 where `a` is. Of two that name one state it is the earlier: that is when it began. */
export function laterOf(a: Pick<GrantRecord, 'state' | 'at'>, b: Pick<GrantRecord, 'state' | 'at'>): number {
  return order.indexOf(a.state) - order.indexOf(b.state) || b.at - a.at;
}

/** What two processes wrote of one grant, as one: the later state stands. */
export function joinGrants(a: GrantRecord, b: GrantRecord): GrantRecord {
  const [first, second] = laterOf(a, b) >= 0 ? [a, b] : [b, a];
  const { ref = second.ref, stopId = second.stopId, isAnswered = second.isAnswered } = first;
  return {
    ...first,
    ...(ref === undefined ? {} : { ref }),
    ...(stopId === undefined ? {} : { stopId }),
    ...(isAnswered === true ? { isAnswered } : {}),
  };
}

/** Can do nothing any more, but for the residual time that `residualUntil` tells. */
export function isOver({ state }: Pick<GrantRecord, 'state'>): boolean {
  switch (state) {
    case 'expired':
    case 'not-issued':
    case 'revoked':
      return true;
    case 'issuing':
    case 'active':
    case 'revoking':
    case 'irrevocable':
      return false;
  }
}

/** Is this a record, wherever it was read? */
export function isGrantRecord(value: unknown): value is GrantRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { id, session, path, broker, process, state, at, expiresAt } = value as Partial<Record<keyof GrantRecord, unknown>>;
  return (
    [id, session, broker, process].every((one) => typeof one === 'string') &&
    Array.isArray(path) &&
    order.some((one) => one === state) &&
    typeof at === 'number' &&
    typeof expiresAt === 'number'
  );
}

/** Parts of any number of grants, joined by id. */
export function joinParts(parts: Iterable<GrantRecord>): GrantRecord[] {
  const joined = new Map<string, GrantRecord>();
  for (const part of parts) {
    const before = joined.get(part.id);
    joined.set(part.id, before ? joinGrants(before, part) : part);
  }
  return [...joined.values()];
}
