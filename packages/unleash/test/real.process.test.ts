// The real unleash-server 7.5.1 on a real Postgres: what the scripted one only says.

import { contractSwitches, describeSourceFaults, describeSwitchSource, waitUntil } from '@offswitch/testing';
import { type LocalUnleash, startLocalUnleash, whyNoLocalUnleash } from '@offswitch/testing/unleash';
import { unleash } from '@offswitch/unleash';
import { type UnleashControl, unleashControl } from '@offswitch/unleash/control';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { admin, flagPath, placePath, realHarness, removeFlag } from './real-harness.ts';
import { quick } from './vendor.ts';

const why = whyNoLocalUnleash();
let starting: Promise<LocalUnleash> | undefined;
const server = (): Promise<LocalUnleash> => {
  starting ??= startLocalUnleash({ revisionEveryMs: 25 });
  return starting;
};
afterAll(async () => {
  await (await starting)?.close();
});

describe('the real Unleash server', () => {
  test.runIf(process.env.OFFSWITCH_REQUIRE_UNLEASH === '1')('runs here, as OFFSWITCH_REQUIRE_UNLEASH=1 asks', () => {
    expect(why).toBe(undefined);
  });
});

describe.skipIf(why !== undefined)(`over the real Unleash server${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  test('is started, provisioned and read by six lines, and installed first where it was not', { timeout: 600_000 }, async () => {
    // #region local
    const local = await startLocalUnleash({ revisionEveryMs: 25 }); // `url`, and options for source and control
    await unleashControl(local.control).provision(contractSwitches, { apply: true });
    const source = unleash(local.source);
    await source.open();
    const reading = source.read(contractSwitches.global, {}); // released, live
    await source.close();
    await local.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'released', origin: 'live' });
    const isAlive = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(local.pids.filter(isAlive)).toEqual([]);
  });

  describeSwitchSource('unleash, against the real server', async (switches) => realHarness(await server(), switches));

  describeSourceFaults('Unleash, the real server', async (switches) => realHarness(await server(), switches), {
    staleWithinMs: 4000,
    recoverWithinMs: 8000,
  });

  describe('a control of the real Unleash', () => {
    const { global } = contractSwitches;
    const user = contractSwitches.user!;
    const instance = contractSwitches.instance!;
    const scoring = contractSwitches.feature('batch-scoring');
    const words = { reason: 'runaway drafts', by: 'ada' };
    let control: UnleashControl;
    beforeEach(async () => {
      const real = await server();
      control = unleashControl(real.control);
      await Promise.all(contractSwitches.flags.map((flag) => removeFlag(real, flag.key)));
      await control.provision(contractSwitches, { apply: true });
    });
    const inspected = async (key: string) => (await control.inspect(contractSwitches)).find((one) => one.key === key)!;

    test('provisions once, and finds nothing to say of what it made', async () => {
      const again = await control.provision(contractSwitches, { apply: true });
      expect(new Set(again.steps.map((one) => one.change))).toEqual(new Set(['keep']));
      for (const one of await control.inspect(contractSwitches))
        expect([one.key, one.engaged, one.findings]).toEqual([one.key, 'nobody', []]);
    });

    test('writes who and why where agents read it', async () => {
      const { source } = await server();
      await control.engage({ flag: instance, target: 's-1', ...words });
      await control.engage({ flag: scoring, ...words });
      const agent = unleash({ ...source, ...quick });
      await agent.open();
      const isStopped = () => agent.read(instance, { sessionId: 's-1' }).state === 'engaged';
      expect(await waitUntil(agent, 5000, isStopped)).toBe(true);
      expect(agent.read(instance, { sessionId: 's-1' })).toMatchObject(words);
      await waitUntil(agent, 5000, () => agent.read(scoring, {}).state === 'engaged');
      expect(agent.read(scoring, { workflow: 'batch-scoring' })).toMatchObject({ state: 'engaged', ...words });
      await agent.close();
    });

    test('loses no stop of twenty operators at once, and no release (I10)', async () => {
      const ids = Array.from({ length: 20 }, (_, n) => `u-${n}`);
      await Promise.all(ids.map((target) => control.engage({ flag: user, target, ...words })));
      expect([...(await inspected(user.key)).targets].sort()).toEqual([...ids].sort());
      await Promise.all(ids.map((target) => control.release({ flag: user, target, ...words })));
      expect(await inspected(user.key)).toMatchObject({ engaged: 'nobody', targets: [] });
    });

    test('says what to do when a flag holds as many strategies as it may', async () => {
      const most = Array.from({ length: 29 }, (_, n) => `s-${n}`);
      await Promise.all(most.map((target) => control.engage({ flag: instance, target, ...words })));
      await expect(control.engage({ flag: instance, target: 's-29', ...words })).rejects.toMatchObject({ code: 'limit_reached' });
      await control.release({ flag: instance, target: 's-0', ...words });
      expect(await control.engage({ flag: instance, target: 's-29', ...words })).toMatchObject({ changed: true });
    });

    test('remembers who did what and why, by its own hand and by others', async () => {
      const real = await server();
      await control.engage({ flag: global, ...words });
      await control.release({ flag: global, reason: 'fixed', by: 'bob' });
      await control.engage({ flag: user, target: 'u-1', ...words });
      await control.release({ flag: user, target: 'u-1', reason: 'fixed', by: 'bob' });
      await admin(real, 'POST', `${placePath(global.key)}/on`);
      const ofGlobal = await control.history({ key: global.key, limit: 3 });
      expect(ofGlobal.map(({ action, reason, by }) => [action, reason, by])).toEqual([
        ['engage', 'by hand in Unleash', expect.any(String)],
        ['release', 'fixed', 'bob'],
        ['engage', 'runaway drafts', 'ada'],
      ]);
      const ofUser = await control.history({ key: user.key, limit: 2 });
      expect(ofUser.map(({ action, target, reason, by }) => [action, target, reason, by])).toEqual([
        ['release', 'u-1', 'fixed', 'bob'],
        ['engage', 'u-1', 'runaway drafts', 'ada'],
      ]);
    });

    test('tells archived from missing, and refuses to flip either', async () => {
      const real = await server();
      // While it was on: its environment alone still says so.
      await control.engage({ flag: global, ...words });
      await admin(real, 'DELETE', flagPath(global.key));
      await removeFlag(real, user.key);
      expect((await inspected(global.key)).findings.map((one) => one.code)).toEqual(['archived']);
      expect((await inspected(user.key)).findings.map((one) => one.code)).toEqual(['missing']);
      for (const order of [{ flag: global }, { flag: user, target: 'u-1' }])
        await expect(control.engage({ ...order, ...words })).rejects.toMatchObject({ code: 'flag_missing' });
    });

    test('with a token that may only read flags, and with one nobody made, is told so', async () => {
      const { control: given, source } = await server();
      for (const token of [source.token, 'user:nobody-made-this'])
        await expect(unleashControl({ ...given, token }).engage({ flag: global, ...words })).rejects.toMatchObject({
          code: 'unauthorized',
        });
    });
  });
});
