// broker.ts: the port through which credentials are lent to sessions and taken back: OAuth, Redis users, whatever can revoke.
//
// A broker decides nothing. When to lend, to whom, how long, and when to take back is the runtime's; a broker answers what its
// backend really did, and never says `revoked` of what it only asked for (I4).

/** What a backend can do, so that what it cannot is stated before anybody relies on it. */
export interface BrokerCaps {
  /**
   * Whose access one revocation takes: `none`, only this grant's; `children`, those below it too. `siblings-too` is refused by
   * `createRuntime`: stopping one session would cut others off that nobody stopped (I7).
   */
  readonly cascade: 'none' | 'children' | 'siblings-too';
  /** What a revocation reaches: everything at once, only connections made after it, or nothing (it has to run out). */
  readonly effect: 'immediate' | 'new-sessions-only' | 'ttl';
  /** The longest that access may outlive a revocation that was confirmed. Milliseconds, 0 where it does not; stated in receipts. */
  readonly maxResidualMs: number;
  /** `verify` can tell whether a credential still works. */
  readonly canVerify: boolean;
  /** A grant can be revoked by its id alone, so one whose issue was never answered can be taken back. */
  readonly revokesById: boolean;
  /** The longest it lends for. Milliseconds, default 3,600,000. */
  readonly maxTtlMs?: number;
  /**
   * The longest that its backend takes any credential, whatever was asked for: when one is over whose issue was never answered. Milliseconds.
   * Default: not known; then such a one is alive until it is revoked, or, where that takes more than its id, until a person removes it.
   */
  readonly maxLifetimeMs?: number;
}

/** One grant as its broker needs it to take it back. */
export interface GrantHandle {
  /** Minted by the runtime before the broker was asked: the idempotency id. Lower case letters, digits and `-`. */
  readonly id: string;
  /** Root session first, the session it was lent to last. */
  readonly path: readonly string[];
  /** What the broker answered at issue. Absent where that was never heard. */
  readonly ref?: string;
  /** Known only in the process that lent it, while that lives: never written down. */
  readonly secret?: string;
}

export interface IssueRequest {
  /** Asked again with the same id, a broker lends the same, or nothing new. */
  readonly id: string;
  /** Root session first, the session that asks last. */
  readonly path: readonly string[];
  /** For whom the credential is good. '' where the tool named none. */
  readonly audience: string;
  readonly scope: readonly string[];
  /** Milliseconds. Never longer than what is left of `parent`. */
  readonly ttlMs: number;
  /** The grant that the nearest session above holds from the same broker. */
  readonly parent?: GrantHandle;
  /** Aborts when the runtime stops waiting. What comes after that is revoked. */
  readonly signal: AbortSignal;
}

export type Issued =
  | {
      readonly status: 'issued';
      /** Token or password: handed to the tool, kept in memory, never written down. What is no text is no answer, and counts as a rejection. */
      readonly secret: string;
      /** The user's name, where the backend wants one with the secret. */
      readonly username?: string;
      /** Kept in the store in clear, for revoking after a crash: a handle or a sealed secret, never the secret itself. */
      readonly ref?: string;
      /** When the backend itself stops taking it. Epoch milliseconds; `Infinity` where it never does: then it is taken back when `ttlMs` is over. What is no moment to come is not lent, and taken back at once: `NaN` for what a broker has and must not lend. */
      readonly expiresAt: number;
    }
  /** The backend said no, and nothing was issued. A rejection, in contrast, leaves it open whether something was. */
  | { readonly status: 'refused'; readonly why: string };

export type Revocation =
  /** Refused by the backend from now on; `residualMs`: how much longer something may still work. `evidence`: how that is known. */
  | { readonly state: 'revoked'; readonly residualMs: number; readonly evidence?: string }
  /** Not done yet: it lives, and is tried again. */
  | { readonly state: 'pending'; readonly why: string; readonly retryAfterMs?: number }
  /** It cannot be taken back: it works until it runs out. */
  | { readonly state: 'irrevocable'; readonly why: string };

export interface RevokeOptions {
  /** The caller stops waiting then. Epoch milliseconds. */
  readonly deadline: number;
  /** The stop it is revoked for, as in its receipt; absent when the session merely ended or rests. */
  readonly stopId?: string;
}

/** Lends credentials and takes them back. Held by the contract suite `describeCredentialBroker` of `@offswitch/testing`. */
export interface CredentialBroker {
  readonly caps: BrokerCaps;
  /**
   * What becomes of the grants of a session at rest under a pause. `revoke`, the default: taken back, and lent anew when it goes
   * on. `keep`: they stay until they run out, and the pause's receipt says so.
   */
  readonly whilePaused?: 'revoke' | 'keep';
  /** One credential for one session, shared with nobody. Bounded; rejects only where it is not known whether something was issued. */
  issue(request: IssueRequest): Promise<Issued>;
  /** Idempotent: of a grant that is gone or was never issued it answers `revoked`. A rejection counts as `pending`, and so does what is no answer. */
  revoke(grant: GrantHandle, options: RevokeOptions): Promise<Revocation>;
  /** Asked after a revocation, as proof. `unknown`: could not tell. */
  verify?(grant: GrantHandle): Promise<'active' | 'inactive' | 'unknown'>;
  /** Takes everything below this path in one step; only where `cascade` is `children`. What it does not confirm is revoked one by one. */
  revokeSubtree?(path: readonly string[], options: RevokeOptions): Promise<Revocation>;
  /** Called once when the runtime closes. */
  close?(): Promise<void>;
}
