// receipt-grants.test.ts: what several processes say of credentials, as one receipt.

import { formatStopKey, type GrantRecord, type Receipt, type ReceiptGrant, subjectKey } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { residueOfGrant } from '../src/grants/receipt-grant.ts';
import type { ReceiptPart } from '../src/receipt.ts';
import { joinReceipts } from '../src/receipt-join.ts';

const key = formatStopKey({
  kind: 'act',
  cause: 'operator',
  action: 'terminate',
  tier: 'instance',
  subject: subjectKey('s-1'),
  id: 'o-1',
});
const stop: Receipt['stop'] = {
  id: key,
  cause: 'operator',
  tier: 'instance',
  action: 'terminate',
  subject: { sessionId: 's-1' },
  reason: 'r',
  since: 1,
};
const grant = (more: Partial<ReceiptGrant>): ReceiptGrant => ({
  id: 'g-1',
  session: 's-1',
  broker: 'mail',
  state: 'revoking',
  at: 10,
  ...more,
});
const all = { recorded: 1, fenced: 2, drained: 3, revoked: 4, done: 5 };
const part = (process: string, at: number, grants: readonly ReceiptGrant[], stages: Receipt['stages'] = all): ReceiptPart => ({
  id: key,
  stop,
  stages,
  sessions: [],
  grants,
  residue: grants.map(residueOfGrant).filter((line) => line !== undefined),
  process,
  at,
  others: [],
  missing: {},
});
const isAlive = (process: string): boolean => process !== 'dead';

describe('the receipt of several processes', () => {
  test('is not revoked while a dead one’s credential is neither taken back nor given up (I4)', () => {
    const dead = part('dead', 5, [grant({ residualMs: 90 })], { recorded: 1, fenced: 2, drained: 3 });
    const receipt = joinReceipts([dead, part('p-1', 6, [])], { isAlive })[0]!;
    expect(Object.keys(receipt.stages)).toEqual(['recorded', 'fenced', 'drained']);
    expect(receipt.residue.join()).toContain('Grant g-1 of s-1 at mail (revoking) may work until 1970-01-01T00:00:00.100Z');
  });

  test('says of a credential what is furthest, whoever wrote last, and nothing that is over any more (I10)', () => {
    const over = part('p-1', 6, [grant({ state: 'revoked', at: 20 })]);
    for (const at of [5, 7]) {
      const receipt = joinReceipts([part('dead', at, [grant({ residualMs: 90 })]), over], { isAlive })[0]!;
      expect(receipt.grants).toEqual([grant({ state: 'revoked', at: 20 })]);
      expect(receipt.residue.filter((line) => line.startsWith('Grant'))).toEqual([]);
      expect(receipt.stages).toEqual(all);
    }
  });

  const record = (more: Partial<GrantRecord>): GrantRecord => ({
    ...{ id: 'g-1', session: 's-1', path: ['s-1'], broker: 'mail', audience: '', scope: [], process: 'p-1' },
    ...{ state: 'active', at: 10, expiresAt: 100 },
    ...more,
  });
  const stopOf = () => ({ key, marks: { engaged: 0, released: -1 } });
  const released = () => ({ key, marks: { engaged: 0, released: 1 }, released: { reason: 'well', at: 77 } });

  test.each([
    ['a session that it covers', ['s-0', 's-2']],
    ['one below, whom no part knows', ['s-0', 's-1', 's-9']],
  ])('is not revoked while a credential lives that nobody has told of, of %s (I4)', (_, path) => {
    const own = { ...part('p-1', 6, []), sessions: [{ session: 's-2', path: ['s-0', 's-2'], state: 'stopped' } as never] };
    const lent = (more: Partial<GrantRecord>) => record({ id: 'g-2', session: path.at(-1)!, path, process: 'p-2', ...more });
    const joined = (one: GrantRecord, more: Partial<ReceiptPart> = {}, stored: typeof stopOf | typeof released = stopOf) =>
      joinReceipts([{ ...own, ...more }], { isAlive, grants: [one], stopOf: stored })[0]!;
    expect(Object.keys(joined(lent({})).stages)).toEqual(['recorded', 'fenced', 'drained']);
    expect(joined(lent({})).residue).toEqual([expect.stringContaining('g-2 of')]);
    expect(joined(lent({ state: 'revoked' })).stages).toEqual(all);
    expect(joined(lent({ session: 's-3', path: ['s-0', 's-3'] })).stages).toEqual(all);
    // Whoever tells of it knows whether more can be done; and whoever was let go may be lent another.
    expect(joined(lent({}), { grants: [grant({ id: 'g-2', state: 'irrevocable' })] }).stages).toEqual(all);
    expect(joined(lent({}), {}, released)).toMatchObject({ stages: all, released: 77 });
    // A release that is older than it changes what its receipt is to be called, and lets nobody go.
    const older = () => ({ ...released(), key: 'switch.instance.s-1.c', marks: { engaged: 5, released: 4 } });
    expect(
      joined(lent({}), { stop: { ...stop, id: 'switch.instance.s-1.c' }, id: 'switch.instance.s-1.c.3' }, older),
    ).not.toHaveProperty('released');
  });

  test('is not revoked while one that a dead process had lent, and told of as lent, is still that in the store (I4)', () => {
    const lent = [part('dead', 5, [grant({ state: 'active' })], { recorded: 1, fenced: 2 }), part('p-1', 6, [])];
    const joined = (one: GrantRecord) => joinReceipts(lent, { isAlive, grants: [one], stopOf })[0]!;
    expect(Object.keys(joined(record({ process: 'dead' })).stages)).toEqual(['recorded', 'fenced', 'drained']);
    expect(joined(record({ process: 'dead', state: 'revoked', at: 20 }))).toMatchObject({
      stages: all,
      grants: [{ state: 'revoked', at: 20 }],
    });
    // A broker that keeps them under a pause: its process has them, and says so.
    expect(joined(record({ process: 'p-1' })).stages).toEqual(all);
  });

  test('is revoked with the residual time of what cannot be had (I4)', () => {
    const lasting = grant({ state: 'irrevocable', residualMs: 90, evidence: 'it was lost' });
    const receipt = joinReceipts([part('p-1', 6, [lasting])], { isAlive })[0]!;
    expect(receipt.stages).toEqual(all);
    expect(receipt.residue).toEqual([
      'Grant g-1 of s-1 at mail (irrevocable) may work until 1970-01-01T00:00:00.100Z: it was lost',
    ]);
  });
});
