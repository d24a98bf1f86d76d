import { readFile, rm } from 'node:fs/promises';
import type { SwitchFlag } from '@offswitch/core';
import { describeSwitchSource } from '@offswitch/testing';
import { edited, type FlagFileJson, fileHarness, until } from './harness.ts';

describeSwitchSource('flagFile', async (switches) => {
  const file = await fileHarness({}, switches);
  const { source, control, path } = file;
  let kept = '';
  const subjectOf = (flag: SwitchFlag, target = 'nobody-in-particular') =>
    flag.tier === 'user'
      ? { userId: target }
      : flag.tier === 'instance'
        ? { sessionId: target }
        : { workflow: flag.workflow ?? '' };
  const flip = async (action: 'engage' | 'release', flag: SwitchFlag, target?: string) => {
    await control[action]({ flag, reason: 'contract', by: 'suite', ...(target === undefined ? {} : { target }) });
    const wanted = action === 'engage' ? 'engaged' : 'released';
    await until(source, () => {
      const reading = source.read(flag, subjectOf(flag, target));
      return reading.state === wanted && reading.origin === 'live';
    });
  };
  const edit = async (change: (json: FlagFileJson) => void, holds: () => boolean) => {
    await file.swap(edited(await file.text(), change));
    await until(source, holds);
  };
  return {
    source,
    engage: (flag, target) => flip('engage', flag, target),
    release: (flag, target) => flip('release', flag, target),
    turnOn: (flag) =>
      edit(
        (json) => {
          json.flags[flag.key]!.defaultVariant = 'engaged';
        },
        () => source.read(flag, subjectOf(flag)).state === 'engaged',
      ),
    remove: (flag) =>
      edit(
        (json) => {
          delete json.flags[flag.key];
        },
        () => source.read(flag, subjectOf(flag)).state === 'unknown',
      ),
    setWrongType: (flag) =>
      edit(
        (json) => {
          json.flags[flag.key]!.variants = { engaged: 'true', released: 'false' };
        },
        () => source.read(flag, subjectOf(flag)).state === 'unknown',
      ),
    async lose() {
      kept = await readFile(path, 'utf8');
      await rm(path);
      await until(source, () => source.health.state === 'stale');
    },
    async recover() {
      await file.write(kept);
      await until(source, () => source.health.state === 'fresh');
    },
    close: () => file.close(),
  };
});
