// audit.test.ts: the audit log over a server that refuses now and then. What is called written is there.

import { Auditor, verifyAudit } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { RedisAudit } from '../src/audit.ts';
import type { Wire } from '../src/connection/wire.ts';

test('an entry that the server refuses once, between two that it takes, is written all the same', async () => {
  const stream: { readonly n: number; readonly entry: string }[] = [];
  let refusals = 0;
  const wire = {
    async call([name, ...args]: readonly string[]) {
      if (name === 'SMEMBERS') return ['p-1'];
      if (name === 'XRANGE') return stream.map(({ n, entry }) => [`${n}-0`, ['e', entry]]);
      if (name !== 'XADD') return 1;
      const n = Number(args[1]!.split('-')[0]);
      if (n === 3 && refusals++ === 0) throw new Error("OOM command not allowed when used memory > 'maxmemory'.");
      if (n <= (stream.at(-1)?.n ?? 0))
        throw new Error('ERR The ID specified in XADD is equal or smaller than the target stream top item');
      stream.push({ n, entry: args.at(-1)! });
      return `${n}-0`;
    },
  };
  const audit = new RedisAudit(wire as Pick<Wire, 'call'> as Wire, 'os1', 1, () => {});
  const auditor = new Auditor({ log: () => audit, process: 'p-1', now: () => 1, onTrouble: () => {} });
  for (let i = 0; i < 4; i++) auditor.note({ type: 'resumed', session: `s-${i}`, by: 'ann', reason: 'well again' });
  expect(await auditor.settled()).toContain('OOM');
  auditor.note({ type: 'closed' });
  expect(await auditor.settled()).toBeUndefined();
  expect(verifyAudit(await audit.chains())).toMatchObject({ findings: [], entries: 6 });
});
