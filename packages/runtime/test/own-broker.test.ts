// own-broker.test.ts: the broker that docs/grants.md shows, held by the contract.

import type { CredentialBroker } from '@offswitch/runtime';
import { describeCredentialBroker } from '@offswitch/testing';

/** A service that knows accounts by name, as many do. */
class Printers {
  readonly accounts = new Map<string, string>();
  async add(name: string, password: string): Promise<void> {
    this.accounts.set(name, password);
  }
  async remove(name: string): Promise<boolean> {
    return this.accounts.delete(name);
  }
}

// #region broker
function printerBroker(printers: Printers): CredentialBroker {
  return {
    caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: true, revokesById: true },
    async issue({ id, ttlMs }) {
      const secret = crypto.randomUUID();
      await printers.add(id, secret); // named after the grant, so that it can be found without the answer
      return { status: 'issued', username: id, secret, ref: id, expiresAt: Date.now() + ttlMs };
    },
    async revoke({ id }) {
      const was = await printers.remove(id); // throws while the service is down: it is tried again
      return { state: 'revoked', residualMs: 0, evidence: was ? 'the account was removed' : 'there is no such account' };
    },
    async verify({ id }) {
      return printers.accounts.has(id) ? 'active' : 'inactive';
    },
  };
}
// #endregion

describeCredentialBroker('of docs/grants.md', async () => {
  const printers = new Printers();
  return {
    broker: printerBroker(printers),
    works: async ({ username, secret }) => printers.accounts.get(username ?? '') === secret,
    otherProcess: async () => printerBroker(printers),
    close: async () => {},
  };
});
