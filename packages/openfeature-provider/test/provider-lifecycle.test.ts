import { type ManualClock, type MemorySource, manualClock, memorySource } from '@offswitch/testing';
import { type Client, type EventDetails, OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { KillSwitchProvider, type KillSwitchProviderOptions } from '../src/index.ts';
import { bound, freshDomain, quiet, settle, switches, withParts } from './world.ts';

beforeAll(quiet);
afterEach(() => OpenFeature.clearProviders());

interface Setup {
  readonly clock: ManualClock;
  readonly source: MemorySource;
  readonly provider: KillSwitchProvider;
  readonly client: Client;
  readonly heard: [string, EventDetails | undefined][];
}

/** A provider on a domain of its own, with everything that is emitted after it settled. */
async function start(options: Partial<KillSwitchProviderOptions> = {}): Promise<Setup> {
  const clock = manualClock();
  const source = memorySource(switches);
  const provider = new KillSwitchProvider({ switches, source, clock, ...options });
  const client = await bound(provider);
  await settle();
  const heard: Setup['heard'] = [];
  for (const type of Object.values(ProviderEvents))
    provider.events.addHandler(type, (details) => void heard.push([type, details]));
  return { clock, source, provider, client, heard };
}

const types = (heard: Setup['heard']) => heard.map(([type]) => type);

describe('the provider’s status', () => {
  test('is READY once, from initialize settling and not from an event of its own', async () => {
    const source = memorySource(switches);
    const provider = new KillSwitchProvider({ switches, source });
    const domain = freshDomain();
    let ready = 0;
    const client = OpenFeature.getClient(domain);
    OpenFeature.addHandler(ProviderEvents.Ready, (details) => {
      if (details?.domain === domain) ready++;
    });
    await OpenFeature.setProviderAndWait(domain, provider);
    await settle();
    expect([client.providerStatus, ready]).toEqual(['READY', 1]);
    OpenFeature.clearHandlers();
  });

  test('is STALE after initialisation over a source that is still starting: the event comes after init settled (S13)', async () => {
    const source = memorySource(switches);
    const slow = withParts(source, { open: async () => undefined });
    const client = await bound(new KillSwitchProvider({ switches, source: slow }));
    await settle();
    expect(client.providerStatus).toBe('STALE');
    expect(await client.getBooleanDetails('killswitch.global', true)).toMatchObject({
      value: true,
      errorCode: 'PROVIDER_NOT_READY',
    });
    await source.open();
    expect(client.providerStatus).toBe('READY');
    expect(await client.getBooleanDetails('killswitch.global', true)).toMatchObject({ value: false });
  });

  test('goes STALE with the reason when the source is lost, and READY when it is back', async () => {
    const { source, client, heard } = await start();
    source.lose('the stream broke');
    expect(client.providerStatus).toBe('STALE');
    expect(heard).toEqual([['PROVIDER_STALE', expect.objectContaining({ message: 'the stream broke' })]]);
    source.recover();
    expect(client.providerStatus).toBe('READY');
    expect(types(heard)).toEqual(['PROVIDER_STALE', 'PROVIDER_READY', 'PROVIDER_CONFIGURATION_CHANGED']);
  });

  test('becomes ERROR, never FATAL, after errorAfterMs of staleness, and still answers and recovers (I13)', async () => {
    const { clock, source, client, heard } = await start({ errorAfterMs: 10_000 });
    source.engage('killswitch.global');
    source.lose();
    await clock.advance(9_999);
    expect(client.providerStatus).toBe('STALE');
    await clock.advance(1);
    expect(client.providerStatus).toBe('ERROR');
    expect(heard.at(-1)).toEqual(['PROVIDER_ERROR', expect.objectContaining({ errorCode: 'GENERAL' })]);
    expect(await client.getBooleanDetails('killswitch.global', false)).toMatchObject({ value: true, reason: 'CACHED' });
    source.recover();
    expect(client.providerStatus).toBe('READY');
    expect(clock.pending).toBe(0);
  });

  test('does not become ERROR when the source came back in time, nor ever with an infinite grace', async () => {
    const short = await start();
    short.source.lose();
    await short.clock.advance(29_999);
    short.source.recover();
    await short.clock.advance(60_000);
    expect(short.client.providerStatus).toBe('READY');
    const endless = await start({ errorAfterMs: Number.POSITIVE_INFINITY });
    endless.source.lose();
    expect(endless.clock.pending).toBe(0);
    expect(endless.client.providerStatus).toBe('STALE');
  });

  test('is ERROR at once when somebody else closes the source', async () => {
    const { source, client } = await start({ ownsSource: false });
    await source.close();
    await settle();
    expect(client.providerStatus).toBe('ERROR');
  });

  test('is FATAL only for a configuration the source refuses, and nothing is left listening', async () => {
    const source = memorySource(switches);
    const broken = withParts(source, { open: () => Promise.reject(new Error('no such file')) });
    const domain = freshDomain();
    await expect(
      OpenFeature.setProviderAndWait(domain, new KillSwitchProvider({ switches, source: broken })),
    ).rejects.toMatchObject({ code: 'PROVIDER_FATAL', message: expect.stringContaining('no such file') });
    expect(OpenFeature.getClient(domain).providerStatus).toBe('FATAL');
    expect(source.listenerCount).toBe(0);
  });
});

describe('a configuration change', () => {
  test('names the flags that changed', async () => {
    const { source, heard } = await start();
    source.engage('killswitch.user', 'u-1');
    expect(heard).toEqual([['PROVIDER_CONFIGURATION_CHANGED', expect.objectContaining({ flagsChanged: ['killswitch.user'] })]]);
  });

  test('names every declared switch when the source cannot tell which', async () => {
    let tell: (() => void) | undefined;
    const source = memorySource(switches);
    const vague = withParts(source, {
      subscribe: (listener) => {
        tell = () => listener({});
        return () => undefined;
      },
    });
    const { heard } = await (async () => {
      const provider = new KillSwitchProvider({ switches, source: vague });
      await bound(provider);
      await settle();
      const heard: unknown[] = [];
      provider.events.addHandler(ProviderEvents.ConfigurationChanged, (details) => void heard.push(details?.flagsChanged));
      return { heard };
    })();
    tell?.();
    expect(heard).toEqual([switches.flags.map((flag) => flag.key)]);
  });

  test('can be read by the time its handler runs', async () => {
    const { source, client, provider } = await start();
    const seen = new Promise((resolve) => {
      provider.events.addHandler(ProviderEvents.ConfigurationChanged, () =>
        resolve(client.getBooleanValue('killswitch.global', false)),
      );
    });
    source.engage('killswitch.global');
    expect(await seen).toBe(true);
  });
});

describe('closing the provider', () => {
  test('closes the source, stops listening, clears the timer and is idempotent', async () => {
    const { clock, source, provider, heard } = await start();
    source.lose();
    expect(clock.pending).toBe(1);
    await Promise.all([provider.onClose(), provider.onClose()]);
    expect([source.health.state, source.closeCount, source.listenerCount, clock.pending]).toEqual(['closed', 1, 0, 0]);
    expect(types(heard)).toEqual(['PROVIDER_STALE']);
  });

  test('makes every evaluation PROVIDER_NOT_READY, because the SDK goes on asking', async () => {
    const { client, provider } = await start();
    await provider.onClose();
    expect(client.providerStatus).toBe('READY');
    expect(await client.getBooleanDetails('killswitch.global', true)).toMatchObject({
      value: true,
      errorCode: 'PROVIDER_NOT_READY',
    });
    expect(await client.getStringDetails('other', 'x')).toMatchObject({ errorCode: 'PROVIDER_NOT_READY' });
  });

  test('ends reads under way, as NOT_READY and not as an answer', async () => {
    const clock = manualClock();
    const source = withParts(memorySource(switches), { read: () => new Promise(() => undefined) });
    const provider = new KillSwitchProvider({ switches, source, clock });
    const client = await bound(provider);
    const details = client.getBooleanDetails('killswitch.global', true);
    await settle();
    await provider.onClose();
    expect(await details).toMatchObject({ errorCode: 'PROVIDER_NOT_READY' });
    expect(clock.pending).toBe(0);
  });

  test('leaves a source it does not own open, and never opened it', async () => {
    const source = memorySource(switches);
    await source.open();
    const provider = new KillSwitchProvider({ switches, source, ownsSource: false });
    await bound(provider);
    await provider.onClose();
    expect([source.openCount, source.closeCount, source.listenerCount]).toEqual([1, 0, 0]);
  });

  test('is for good: a closed provider is not initialised again', async () => {
    const provider = new KillSwitchProvider({ switches, source: memorySource(switches) });
    await provider.onClose();
    await expect(provider.initialize()).rejects.toMatchObject({ code: 'PROVIDER_FATAL' });
  });

  test('while the source is still opening leaves nothing open', async () => {
    const source = memorySource(switches);
    let opened: (() => void) | undefined;
    const slow = withParts(source, { open: () => new Promise<void>((resolve) => (opened = resolve)) });
    const provider = new KillSwitchProvider({ switches, source: slow });
    const opening = provider.initialize();
    await provider.onClose();
    opened?.();
    await expect(opening).rejects.toMatchObject({ code: 'PROVIDER_NOT_READY' });
    expect([source.health.state, source.listenerCount]).toEqual(['closed', 0]);
  });
});

describe('the provider as the SDK sees it', () => {
  test('is named offswitch, runs on servers, and is refused on a second domain', async () => {
    const { provider } = await start();
    expect([provider.metadata.name, provider.runsOn, provider.domainScoped]).toEqual(['offswitch', 'server', true]);
    expect(() => OpenFeature.setProvider(freshDomain(), provider)).toThrow();
  });

  test('is PROVIDER_NOT_READY before it is initialised, asked directly', async () => {
    const provider = new KillSwitchProvider({ switches, source: memorySource(switches) });
    expect(await provider.resolveBooleanEvaluation('killswitch.global', true, {})).toMatchObject({
      value: true,
      errorCode: 'PROVIDER_NOT_READY',
    });
  });
});
