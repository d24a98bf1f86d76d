// broker-contract.ts: what every broker of credentials promises, as one suite that each runs.
//
//   describeCredentialBroker('redis users', async () => ({ broker, works, otherProcess, close }));

import type { CredentialBroker, GrantHandle, Issued, IssueRequest } from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';

/** One broker on a backend of its own. */
export interface BrokerHarness {
  readonly broker: CredentialBroker;
  /** Goes to the backend with the credential, as whoever stole it would. */
  works(issued: Extract<Issued, { status: 'issued' }>): Promise<boolean>;
  /** The same broker in a process that comes after: it has the same configuration, and no memory. */
  otherProcess(): Promise<CredentialBroker>;
  /** What to ask for. Default: no audience, no scope. */
  readonly request?: Partial<Pick<IssueRequest, 'audience' | 'scope' | 'ttlMs'>>;
  close(): Promise<void>;
}

/** Runs the contract. `make` returns a fresh broker each time. */
export function describeCredentialBroker(name: string, make: () => Promise<BrokerHarness>): void {
  const made: BrokerHarness[] = [];
  const start = async (): Promise<BrokerHarness> => {
    const harness = await make();
    made.push(harness);
    return harness;
  };
  let count = 0;
  const lend = async ({ broker, request }: BrokerHarness, path: readonly string[], parent?: GrantHandle) => {
    const id = `g-contract${count++}x${Math.trunc(Math.random() * 1e9)}`;
    const issued = await broker.issue({
      id,
      path,
      audience: '',
      scope: [],
      ttlMs: 60_000,
      ...request,
      ...(parent ? { parent } : {}),
      signal: new AbortController().signal,
    });
    if (issued.status !== 'issued') throw new Error(`nothing was issued: ${issued.why}`);
    const kept: GrantHandle = { id, path, ...(issued.ref === undefined ? {} : { ref: issued.ref }) };
    return { issued, kept, handle: { ...kept, secret: issued.secret } };
  };
  const soon = (): { readonly deadline: number } => ({ deadline: Date.now() + 10_000 });

  describe(`a broker of credentials: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    test('lends a credential that works, and says until when: no longer than its backend gives any', async () => {
      const harness = await start();
      const { issued } = await lend(harness, ['s-1']);
      const { maxLifetimeMs = Number.POSITIVE_INFINITY } = harness.broker.caps;
      expect(issued.expiresAt).toBeLessThanOrEqual(Date.now() + maxLifetimeMs);
      expect(await harness.works(issued)).toBe(true);
      expect(issued.expiresAt).toBeGreaterThan(Date.now());
    });

    test('hands out nothing to be written down that holds the secret', async () => {
      const { issued } = await lend(await start(), ['s-1']);
      expect(issued.ref ?? '').not.toContain(issued.secret);
    });

    test('says revoked of what works no more, and of nothing else (I4)', async () => {
      const harness = await start();
      const { broker } = harness;
      const { issued, handle } = await lend(harness, ['s-1']);
      const answer = await broker.revoke(handle, soon());
      if (broker.caps.effect === 'ttl') expect(answer.state).not.toBe('revoked');
      else expect(answer).toMatchObject({ state: 'revoked' });
      if (answer.state === 'revoked') {
        expect(answer.residualMs).toBeGreaterThanOrEqual(0);
        expect(answer.residualMs).toBeLessThanOrEqual(broker.caps.maxResidualMs);
        if (answer.residualMs === 0) expect(await harness.works(issued)).toBe(false);
      }
    });

    test('can be asked to revoke again, and still says revoked (I10)', async () => {
      const harness = await start();
      const { handle } = await lend(harness, ['s-1']);
      const first = await harness.broker.revoke(handle, soon());
      expect((await harness.broker.revoke(handle, soon())).state).toBe(first.state);
      expect((await harness.broker.revoke(handle, soon())).state).toBe(first.state);
    });

    test('takes nobody else’s access: parent and sibling stay (I7)', async () => {
      const harness = await start();
      const { broker } = harness;
      const parent = await lend(harness, ['s-1']);
      const child = await lend(harness, ['s-1', 's-2'], parent.handle);
      const sibling = await lend(harness, ['s-1', 's-3'], parent.handle);
      await broker.revoke(child.handle, soon());
      expect([await harness.works(parent.issued), await harness.works(sibling.issued)]).toEqual([true, true]);
      await broker.revoke(parent.handle, soon());
      expect(await harness.works(sibling.issued)).toBe(broker.caps.cascade === 'none');
    });

    test('tells active from inactive where it says it can verify', async () => {
      const harness = await start();
      const { broker } = harness;
      expect(broker.verify !== undefined).toBe(broker.caps.canVerify);
      const { handle } = await lend(harness, ['s-1']);
      if (!broker.verify) return;
      expect(await broker.verify(handle)).toBe('active');
      const answer = await broker.revoke(handle, soon());
      if (answer.state === 'revoked' && answer.residualMs === 0) expect(await broker.verify(handle)).toBe('inactive');
    });

    test('revokes in another process by what was written down, or says that it cannot', async () => {
      const harness = await start();
      const { issued, kept } = await lend(harness, ['s-1']);
      const answer = await (await harness.otherProcess()).revoke(kept, soon());
      if (answer.state === 'revoked' && answer.residualMs === 0) expect(await harness.works(issued)).toBe(false);
      else expect(answer.state).toBe('irrevocable');
    });

    test('revokes by the id alone where it says so: what nobody heard of, and what never was', async () => {
      const harness = await start();
      const { broker } = harness;
      const { issued, kept } = await lend(harness, ['s-1', 's-2']);
      const other = await harness.otherProcess();
      const nobody = await other.revoke({ id: 'g-neverwas', path: ['s-1', 's-9'] }, soon());
      const answer = await other.revoke({ id: kept.id, path: kept.path }, soon());
      if (broker.caps.revokesById) {
        expect([nobody.state, answer.state]).toEqual(['revoked', 'revoked']);
        expect(await harness.works(issued)).toBe(false);
      } else expect([nobody.state, answer.state]).toEqual(['irrevocable', 'irrevocable']);
    });

    test('takes a whole branch in one step where it says so, and nothing beside it (I7)', async () => {
      const harness = await start();
      const { broker } = harness;
      expect(broker.revokeSubtree === undefined || broker.caps.cascade === 'children').toBe(true);
      if (!broker.revokeSubtree) return;
      const root = await lend(harness, ['s-1']);
      const top = await lend(harness, ['s-1', 's-2'], root.handle);
      const below = await lend(harness, ['s-1', 's-2', 's-3'], top.handle);
      const beside = await lend(harness, ['s-1', 's-20'], root.handle);
      expect(await broker.revokeSubtree(['s-1', 's-2'], soon())).toMatchObject({ state: 'revoked' });
      expect(await Promise.all([root, top, below, beside].map(({ issued }) => harness.works(issued)))).toEqual([
        true,
        false,
        false,
        true,
      ]);
    });
  });
}
