import { contractSwitches, describeSwitchSource, type MemorySourceOptions, memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';

const harness = (options: MemorySourceOptions) => async () => {
  const source = memorySource(contractSwitches, options);
  return {
    source,
    engage: async (flag: { key: string }, target?: string) => source.engage(flag.key, target),
    release: async (flag: { key: string }, target?: string) => source.release(flag.key, target),
    turnOn: async (flag: { key: string }) => source.turnOn(flag.key),
    remove: async (flag: { key: string }) => source.remove(flag.key),
    setWrongType: async (flag: { key: string }) =>
      source.fail(flag.key, { state: 'unknown', cause: 'wrong-type', message: 'a string' }),
    lose: async () => source.lose(),
    recover: async () => source.recover(),
    close: async () => {},
  };
};

describeSwitchSource('memorySource', harness({}));
describeSwitchSource('memorySource, asynchronous', harness({ async: true }));
describeSwitchSource('memorySource without positions', harness({ withoutPositions: true }), { positions: false });

describe('the memory source', () => {
  test('sees what the vendor stored during an outage only when it is back', async () => {
    const source = memorySource(contractSwitches);
    await source.open();
    source.lose();
    source.engage('killswitch.global', undefined, { reason: 'drill', by: 'ada' });
    expect(source.read(contractSwitches.global, {})).toMatchObject({ state: 'released', origin: 'cached', position: { n: 1 } });
    source.recover();
    expect(source.read(contractSwitches.global, {})).toEqual({
      state: 'engaged',
      origin: 'live',
      position: { series: 'memory:test', n: 2 },
      reason: 'drill',
      by: 'ada',
    });
  });

  test('matches a conversation as the target of an instance switch', async () => {
    const source = memorySource(contractSwitches);
    await source.open();
    source.engage('killswitch.instance', 'c-1', { targetKind: 'conversation' });
    const instance = contractSwitches.instance!;
    expect(source.read(instance, { sessionId: 's-9', conversationId: 'c-1' })).toMatchObject({ state: 'engaged' });
    expect(source.read(instance, { sessionId: 'c-1' })).toMatchObject({ state: 'released' });
  });

  test('counts how often it was opened, closed and listened to', async () => {
    const source = memorySource(contractSwitches);
    const stopListening = source.subscribe(() => {});
    expect([source.openCount, source.closeCount, source.listenerCount]).toEqual([0, 0, 1]);
    await source.open();
    stopListening();
    await source.close();
    await source.close();
    expect([source.openCount, source.closeCount, source.listenerCount]).toEqual([1, 2, 0]);
  });

  test('refuses a key nobody declared and a scoped flip without a target', () => {
    const source = memorySource(contractSwitches);
    expect(() => source.engage('killswitch.globl')).toThrow(/not among the declared/);
    expect(() => source.engage('killswitch.user')).toThrow(/needs a target/);
    expect(() => source.engage('killswitch.global', 'u-1')).toThrow(/takes no target/);
  });
});
