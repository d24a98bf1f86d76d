import { describeSwitchSource, openFaultProxy } from '@offswitch/testing';
import { expect } from 'vitest';
import { flipper, scripted, subjectOf, until } from './vendor.ts';

describeSwitchSource('unleash, against the scripted server', async (switches) => {
  const vendor = await scripted(switches);
  const { server, control } = vendor;
  const proxy = await openFaultProxy({ port: server.port });
  const source = vendor.source({ url: proxy.url });
  const flip = flipper(source, control);
  return {
    source,
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    async turnOn(flag) {
      // What "add strategy" and "save" do in the dashboard.
      server.edit(flag.key, (stored) => {
        stored.environments.get(server.environment)!.strategies[0]!.parameters.rollout = '100';
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state !== 'released');
    },
    async remove(flag) {
      server.edit(flag.key, (stored) => {
        stored.archived = true;
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state === 'unknown');
    },
    async setWrongType(flag) {
      server.edit(flag.key, (stored) => {
        stored.raw = { enabled: 'true' };
      });
      await until(source, () => source.read(flag, subjectOf(flag)).state === 'unknown');
    },
    async lose() {
      proxy.mode('drop');
      await until(source, () => source.health.state === 'stale');
    },
    async recover() {
      proxy.heal();
      await until(source, () => source.health.state === 'fresh');
    },
    async close() {
      await proxy.close();
      await vendor.close();
      expect(server.unknown).toEqual([]);
    },
  };
});
