// receipt-grants.test.ts: what several processes say of credentials, as one receipt.

import type { Receipt, ReceiptGrant } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { residueOfGrant } from '../src/grants/receipt-grant.ts';
import type { ReceiptPart } from '../src/receipt.ts';
import { joinReceipts } from '../src/receipt-join.ts';

const stop: Receipt['stop'] = {
  id: 'o-1',
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
  id: 'o-1',
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
    const receipt = joinReceipts([dead, part('p-1', 6, [])], isAlive)[0]!;
    expect(Object.keys(receipt.stages)).toEqual(['recorded', 'fenced', 'drained']);
    expect(receipt.residue.join()).toContain('Grant g-1 of s-1 at mail (revoking) may work until 1970-01-01T00:00:00.100Z');
  });

  test('says of a credential what is furthest, whoever wrote last, and nothing that is over any more (I10)', () => {
    const over = part('p-1', 6, [grant({ state: 'revoked', at: 20 })]);
    for (const at of [5, 7]) {
      const receipt = joinReceipts([part('dead', at, [grant({ residualMs: 90 })]), over], isAlive)[0]!;
      expect(receipt.grants).toEqual([grant({ state: 'revoked', at: 20 })]);
      expect(receipt.residue.filter((line) => line.startsWith('Grant'))).toEqual([]);
      expect(receipt.stages).toEqual(all);
    }
  });

  test('is revoked with the residual time of what cannot be had (I4)', () => {
    const lasting = grant({ state: 'irrevocable', residualMs: 90, evidence: 'it was lost' });
    const receipt = joinReceipts([part('p-1', 6, [lasting])], isAlive)[0]!;
    expect(receipt.stages).toEqual(all);
    expect(receipt.residue).toEqual([
      'Grant g-1 of s-1 at mail (irrevocable) may work until 1970-01-01T00:00:00.100Z: it was lost',
    ]);
  });
});
