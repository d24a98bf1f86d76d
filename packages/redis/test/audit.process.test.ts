// audit.process.test.ts: the audit log and bundles, over a real Redis.

import { Auditor, verifyAudit } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

describeRedis('an audit log in Redis', () => {
  let server: LocalRedis;
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(() => server.close());

  test('holds each entry once, whatever is asked for again, and names the entry that was changed', async () => {
    const harness = await fleet(server);
    const { store } = harness;
    await store.open();
    try {
      const { audit } = store;
      let isTwice = false;
      const auditor = new Auditor({
        log: () => ({
          chains: () => audit!.chains(),
          // The answer was lost: the same entries come again.
          async append(entries) {
            if (!isTwice) await audit!.append(entries);
            isTwice = true;
            await audit!.append(entries);
          },
        }),
        process: store.processId,
        now: () => 1,
        onTrouble: () => {},
      });
      for (let i = 0; i < 1_200; i++) auditor.note({ type: 'resumed', session: 's-1', by: 'ann', reason: `because ${i}` });
      expect(await auditor.settled()).toBeUndefined();
      const head = { ...auditor.head!, by: 'a receipt' };
      expect(verifyAudit(await audit!.chains(), [head])).toMatchObject({ findings: [], entries: 1_201 });
      await server.command('XDEL', harness.key(`audit:${store.processId}`), '700-0');
      expect(verifyAudit(await audit!.chains(), [head]).findings).toMatchObject([{ what: 'removed', n: 700 }]);
      await server.command('DEL', harness.key(`audit:${store.processId}`));
      expect(verifyAudit(await audit!.chains(), [head]).findings).toMatchObject([{ what: 'cut-off' }]);
    } finally {
      await harness.close();
    }
  });
  test('stands beside bundles that are kept as they were written', async () => {
    const harness = await fleet(server);
    const { store } = harness;
    await store.open();
    try {
      await store.forensics!.writeBundle('s-1', '{"a":"\u202e"}');
      expect(await store.forensics!.readBundle('s-1')).toBe('{"a":"\u202e"}');
      expect(await store.forensics!.readBundle('s-2')).toBeUndefined();
    } finally {
      await harness.close();
    }
  });
});
