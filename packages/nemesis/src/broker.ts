// broker.ts: lends tokens of the oracle, which knows for whom and from when to when each works, whatever anybody reports (I4).

import type { Clock, CredentialBroker } from '@offswitch/runtime';

export interface BrokerOptions {
  readonly oracle: string;
  readonly worker: string;
  readonly clock: Clock;
  /** A token of this path is about to be taken back for a stop. */
  readonly onRevoking: (path: readonly string[]) => void;
}

export function oracleBroker({ oracle, worker, clock, onRevoking }: BrokerOptions): CredentialBroker {
  const ask = async (what: 'issue' | 'revoke' | 'active', grant: object): Promise<boolean> => {
    const response = await fetch(`${oracle}/${what}`, { method: 'POST', body: JSON.stringify(grant) });
    return (await response.text()) === 'true';
  };
  return {
    caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: true, revokesById: true },
    async issue({ id, path, ttlMs }) {
      if (!(await ask('issue', { id, path, worker })))
        return { status: 'refused', why: 'it was taken back before it was issued' };
      return { status: 'issued', secret: id, expiresAt: clock.now() + ttlMs };
    },
    async revoke({ id, path }, { stopId }) {
      if (stopId !== undefined) onRevoking(path);
      await ask('revoke', { id });
      return { state: 'revoked', residualMs: 0 };
    },
    verify: async ({ id }) => ((await ask('active', { id })) ? 'active' : 'inactive'),
  };
}
