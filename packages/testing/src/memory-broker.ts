// memory-broker.ts: a broker whose backend is a map: what it issued, what still works, and what a test makes it do wrong.

import type { BrokerCaps, CredentialBroker, Issued, IssueRequest, Revocation } from '@offswitch/runtime';

export interface MemoryBroker extends CredentialBroker {
  /** Everything it was asked to issue, in order. */
  readonly asked: readonly IssueRequest[];
  /** Ids it was asked to revoke, in order, repetitions included. */
  readonly revoked: readonly string[];
  /** As the backend answers who comes with it. */
  works(secret: string): boolean;
  /** Ids of grants that work. */
  readonly live: readonly string[];
  /** Answers instead of the backend: waits, throws, or says something else. `undefined`: the backend does. */
  beforeIssue: ((request: IssueRequest) => Promise<Issued | undefined>) | undefined;
  /** The answer is held back, or lost: the credential is there all the same. */
  afterIssue: ((request: IssueRequest) => Promise<void>) | undefined;
  beforeRevoke: ((id: string) => Promise<Revocation | undefined>) | undefined;
}

export interface MemoryBrokerOptions {
  /** Epoch milliseconds. Default: the machine's. */
  readonly now?: () => number;
  readonly caps?: Partial<BrokerCaps>;
  readonly whilePaused?: 'revoke' | 'keep';
  /** How long the backend takes a credential that was asked for so long: some give what they like. Default: as asked. Milliseconds. */
  readonly lifetimeMs?: (ttlMs: number) => number;
}

interface Account {
  readonly secret: string;
  readonly path: readonly string[];
  readonly expiresAt: number;
}

/** Revokes at once and by id, and can be asked. `caps.cascade: 'children'` also gives it `revokeSubtree`. */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  const { now = Date.now, lifetimeMs = (ttlMs: number) => ttlMs } = options;
  const caps: BrokerCaps = {
    cascade: 'none',
    effect: 'immediate',
    maxResidualMs: 0,
    canVerify: true,
    revokesById: true,
    ...options.caps,
  };
  const accounts = new Map<string, Account>();
  const asked: IssueRequest[] = [];
  const revoked: string[] = [];
  const isLive = (account: Account | undefined): boolean => account !== undefined && account.expiresAt > now();
  const dropBelow = (path: readonly string[]): void => {
    for (const [id, account] of accounts) if (path.every((one, at) => account.path[at] === one)) accounts.delete(id);
  };
  const done: Revocation = { state: 'revoked', residualMs: 0, evidence: 'it is out of the map' };

  const broker: MemoryBroker = {
    caps,
    ...(options.whilePaused === undefined ? {} : { whilePaused: options.whilePaused }),
    asked,
    revoked,
    beforeIssue: undefined,
    afterIssue: undefined,
    beforeRevoke: undefined,
    works: (secret) => [...accounts.values()].some((account) => account.secret === secret && isLive(account)),
    get live() {
      return [...accounts].filter(([, account]) => isLive(account)).map(([id]) => id);
    },
    async issue(request) {
      asked.push(request);
      const other = await broker.beforeIssue?.(request);
      if (other) return other;
      const account = accounts.get(request.id) ?? {
        secret: `secret of ${request.id}`,
        path: request.path,
        expiresAt: now() + lifetimeMs(request.ttlMs),
      };
      accounts.set(request.id, account);
      await broker.afterIssue?.(request);
      return { status: 'issued', secret: account.secret, ref: `ref-${request.id}`, expiresAt: account.expiresAt };
    },
    async revoke({ id }) {
      revoked.push(id);
      const other = await broker.beforeRevoke?.(id);
      if (other) return other;
      const path = accounts.get(id)?.path;
      accounts.delete(id);
      if (path && caps.cascade === 'children') dropBelow(path);
      return done;
    },
  };
  if (caps.canVerify) broker.verify = async ({ id }) => (isLive(accounts.get(id)) ? 'active' : 'inactive');
  if (caps.cascade === 'children')
    broker.revokeSubtree = async (path) => {
      dropBelow(path);
      return done;
    };
  return broker;
}
