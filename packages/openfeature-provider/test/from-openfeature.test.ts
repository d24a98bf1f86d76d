import { applyReading, isEngaged, type Reading, type SwitchFlag, type SwitchSource, unmarked } from '@offswitch/core';
import { manualClock } from '@offswitch/testing';
import {
  type EvaluationContext,
  InMemoryProvider,
  type JsonValue,
  OpenFeature,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderEvents,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FromOpenFeatureOptions, fromOpenFeature, openFeatureSource } from '../src/index.ts';
import { bound, freshDomain, quiet, settle, switches } from './world.ts';

beforeAll(quiet);
const sources: SwitchSource[] = [];
afterEach(async () => {
  for (const source of sources.splice(0)) await source.close();
  OpenFeature.clearHooks();
  OpenFeature.setContext({});
  OpenFeature.clearProviders();
});

type Answer = (
  key: string,
  offered: boolean,
  context: EvaluationContext,
) => ResolutionDetails<unknown> | Promise<ResolutionDetails<unknown>>;

/** A provider that answers as the test says, whatever type was asked for. */
class Scripted implements Provider {
  readonly metadata: { readonly name: string };
  readonly runsOn = 'server' as const;
  readonly events = new OpenFeatureEventEmitter();
  answer: Answer;
  constructor(answer: Answer, name = 'scripted') {
    this.answer = answer;
    this.metadata = { name };
  }
  resolveBooleanEvaluation(key: string, offered: boolean, context: EvaluationContext): Promise<ResolutionDetails<boolean>> {
    return this.asked(key, offered, context);
  }
  resolveStringEvaluation(key: string, offered: string): Promise<ResolutionDetails<string>> {
    return this.asked(key, offered as never, {});
  }
  resolveNumberEvaluation(key: string, offered: number): Promise<ResolutionDetails<number>> {
    return this.asked(key, offered as never, {});
  }
  resolveObjectEvaluation<T extends JsonValue>(key: string, offered: T): Promise<ResolutionDetails<T>> {
    return this.asked(key, offered as never, {});
  }
  private async asked<T>(key: string, offered: boolean, context: EvaluationContext): Promise<ResolutionDetails<T>> {
    return (await this.answer(key, offered, context)) as ResolutionDetails<T>;
  }
}

async function over(provider: Provider, options: FromOpenFeatureOptions = {}): Promise<SwitchSource> {
  const source = fromOpenFeature(await bound(provider), options);
  sources.push(source);
  await source.open();
  return source;
}

const { global, user, instance } = switches;
if (!user || !instance) throw new Error('all four tiers are declared');
const inverted = switches.feature('batch-scoring');
const engaged =
  (flag: SwitchFlag): Answer =>
  () => ({ value: flag.engagedWhen, reason: 'STATIC' });
const released =
  (flag: SwitchFlag): Answer =>
  () => ({ value: !flag.engagedWhen, reason: 'STATIC' });
const read = async (source: SwitchSource, flag: SwitchFlag = global, subject = {}): Promise<Reading> =>
  source.read(flag, subject);

describe('a switch read through any OpenFeature client', () => {
  test.each([
    ['true stops', global],
    ['false stops', inverted],
  ] as const)('has the polarity of its declaration: %s', async (_, flag) => {
    expect(await read(await over(new Scripted(engaged(flag))), flag)).toMatchObject({ state: 'engaged', origin: 'live' });
    expect(await read(await over(new Scripted(released(flag))), flag)).toMatchObject({ state: 'released', origin: 'live' });
  });

  test('has a series and no n, so that a release of it is an act (S3)', async () => {
    const provider = new Scripted(engaged(global));
    const source = await over(provider, { series: 'vendor:web:prod' });
    const first = await read(source);
    expect(first).toEqual({ state: 'engaged', origin: 'live', position: { series: 'vendor:web:prod' } });
    provider.answer = released(global);
    const marks = applyReading(applyReading(unmarked, first, false), await read(source), false);
    expect(isEngaged(marks)).toBe(true);
  });

  test.each(['DEFAULT', 'UNKNOWN', 'DISABLED', 'STATIC', 'TARGETING_MATCH', 'OFF', undefined])(
    'is unknown when the caller’s default came back, whatever the reason says: %s (S5)',
    async (reason) => {
      const source = await over(new Scripted((_, offered) => ({ value: offered, ...(reason === undefined ? {} : { reason }) })));
      for (const flag of [global, inverted])
        expect(await read(source, flag)).toMatchObject({ state: 'unknown', cause: 'not-found' });
    },
  );

  test('is what the vendor says when its own default variant has reason DEFAULT', async () => {
    expect(await read(await over(new Scripted(() => ({ value: true, reason: 'DEFAULT' }))))).toMatchObject({ state: 'engaged' });
    expect(await read(await over(new Scripted(() => ({ value: false, reason: 'DEFAULT' }))))).toMatchObject({
      state: 'released',
    });
  });

  test.each([
    ['FLAG_NOT_FOUND', 'not-found'],
    ['TYPE_MISMATCH', 'wrong-type'],
    ['PROVIDER_NOT_READY', 'not-ready'],
    ['PROVIDER_FATAL', 'error'],
    ['PARSE_ERROR', 'error'],
    ['TARGETING_KEY_MISSING', 'error'],
    ['INVALID_CONTEXT', 'error'],
    ['GENERAL', 'error'],
    ['SOMETHING_NEW', 'error'],
  ])('is unknown for the error code %s: %s, whichever value came with it', async (errorCode, cause) => {
    for (const value of [true, false]) {
      const source = await over(new Scripted(() => ({ value, errorCode: errorCode as never, errorMessage: 'why' })));
      for (const flag of [global, inverted]) expect(await read(source, flag)).toMatchObject({ state: 'unknown', cause });
    }
  });

  test.each(['yes', 'true', 1, 0, null, {}, undefined])('is wrong-type for a value that is no boolean: %j', async (value) => {
    const source = await over(new Scripted(() => ({ value, reason: 'STATIC' })));
    for (const flag of [global, inverted])
      expect(await read(source, flag)).toMatchObject({ state: 'unknown', cause: 'wrong-type' });
  });

  test('is unknown for reason ERROR without an error code', async () => {
    for (const value of [true, false])
      expect(await read(await over(new Scripted(() => ({ value, reason: 'ERROR' }))))).toMatchObject({ state: 'unknown' });
  });

  test('is cached, not live, when the vendor says CACHED or STALE', async () => {
    for (const reason of ['CACHED', 'STALE']) {
      expect(await read(await over(new Scripted(() => ({ value: true, reason }))))).toMatchObject({ origin: 'cached' });
      expect(await read(await over(new Scripted(() => ({ value: false, reason }))))).toMatchObject({ origin: 'cached' });
    }
  });

  test('is unknown when the resolver throws, rejects or answers nothing (I13)', async () => {
    for (const answer of [
      () => {
        throw new Error('broken');
      },
      () => Promise.reject(new Error('broken')),
      () => undefined as never,
    ] satisfies Answer[]) {
      expect(await read(await over(new Scripted(answer)))).toMatchObject({ state: 'unknown', cause: 'error' });
    }
  });

  test('is unknown after the deadline when the resolver never settles, and a late answer changes nothing', async () => {
    const clock = manualClock();
    let late: ((details: ResolutionDetails<unknown>) => void) | undefined;
    const provider = new Scripted(() => new Promise((resolve) => (late = resolve)));
    const source = await over(provider, { clock, readTimeoutMs: 400 });
    const reading = read(source);
    await clock.advance(400);
    expect(await reading).toMatchObject({ state: 'unknown', cause: 'error', message: expect.stringContaining('400 ms') });
    late?.({ value: false });
    await settle();
    expect(clock.pending).toBe(0);
  });
});

describe('a hook of the application', () => {
  const throwing = (stage: 'before' | 'after' | 'error' | 'finally') => ({
    [stage]: () => {
      throw new Error(`${stage} hook of somebody else`);
    },
  });

  test.each(['after', 'error', 'finally'] as const)('that throws in %s does not lift a stop (I13)', async (stage) => {
    const source = await over(new Scripted(engaged(global)));
    OpenFeature.addHooks(throwing(stage));
    expect(await read(source)).toMatchObject({ state: 'engaged', origin: 'live' });
  });

  test('that throws in after makes no release: the answer is unknown (I13)', async () => {
    for (const flag of [global, inverted]) {
      const source = await over(new Scripted(released(flag)));
      OpenFeature.addHooks(throwing('after'));
      expect(await read(source, flag)).toMatchObject({ state: 'unknown', cause: 'error' });
    }
  });

  test('that throws in before makes the answer unknown, engaged or not', async () => {
    OpenFeature.addHooks(throwing('before'));
    for (const answer of [engaged(global), released(global)])
      expect(await read(await over(new Scripted(answer)))).toMatchObject({ state: 'unknown', cause: 'error' });
  });

  test('that throws on the client itself does not lift a stop either', async () => {
    const client = await bound(new Scripted(engaged(global)));
    client.addHooks(throwing('after'));
    const source = fromOpenFeature(client);
    sources.push(source);
    await source.open();
    expect(await read(source)).toMatchObject({ state: 'engaged' });
  });

  test('that rewrites the value neither lifts a stop nor makes one', async () => {
    OpenFeature.addHooks({
      after: (_, details) => {
        (details as { value: unknown }).value = details.value !== true;
      },
    });
    expect(await read(await over(new Scripted(engaged(global))))).toMatchObject({ state: 'engaged' });
    expect(await read(await over(new Scripted(released(global))))).toMatchObject({ state: 'unknown' });
  });

  test('cannot say whom a switch is read for', async () => {
    const seen: EvaluationContext[] = [];
    const source = await over(
      new Scripted((_, __, context) => {
        seen.push(context);
        return { value: false, reason: 'STATIC' };
      }),
    );
    OpenFeature.addHooks({ before: () => ({ targetingKey: 'somebody', userId: 'somebody', sessionId: 'else' }) });
    await read(source, user, { userId: 'u-1' });
    expect(seen[0]).toMatchObject({ targetingKey: 'u-1', userId: 'u-1' });
    expect(seen[0]?.sessionId).toBeUndefined();
  });
});

describe('the application’s global context', () => {
  test('does not leak a user or session into a switch that is not about one', async () => {
    const seen: EvaluationContext[] = [];
    const source = await over(
      new Scripted((_, __, context) => {
        seen.push(context);
        return { value: context.userId !== undefined || context.sessionId !== undefined, reason: 'TARGETING_MATCH' };
      }),
    );
    OpenFeature.setContext({ targetingKey: 'g', userId: 'g', sessionId: 'g', conversationId: 'g', workflow: 'g', region: 'eu' });
    expect(await read(source, global)).toMatchObject({ state: 'released' });
    expect(await read(source, switches.feature('resume-rewrite'), { workflow: 'resume-rewrite' })).toMatchObject({
      state: 'released',
    });
    await read(source, user, { userId: 'u-1' });
    expect(seen[0]).toMatchObject({ targetingKey: 'offswitch', region: 'eu' });
    expect(seen[1]).toMatchObject({ workflow: 'resume-rewrite' });
    expect(seen[2]).toMatchObject({ targetingKey: 'u-1', userId: 'u-1' });
    expect(seen[2]?.workflow).toBeUndefined();
  });

  test('cannot stand in for a subject that was not given: the reading is unknown', async () => {
    const source = await over(new Scripted(released(user)));
    OpenFeature.setContext({ targetingKey: 'g', userId: 'g', sessionId: 'g' });
    expect(await read(source, user, {})).toMatchObject({ state: 'unknown' });
    expect(await read(source, instance, { userId: 'u-1' })).toMatchObject({ state: 'unknown' });
  });
});

describe('the provider behind the client', () => {
  test('going FATAL never reads as released (S3, I13)', async () => {
    for (const flag of [global, inverted]) {
      const provider = new Scripted(engaged(flag));
      const source = await over(provider);
      expect(await read(source, flag)).toMatchObject({ state: 'engaged' });
      provider.events.emit(ProviderEvents.Error, { message: 'key revoked', errorCode: 'PROVIDER_FATAL' } as never);
      expect(await read(source, flag)).toMatchObject({ state: 'unknown', cause: 'error' });
      expect(source.health).toMatchObject({ state: 'stale', why: expect.stringContaining('key revoked') });
      provider.events.emit(ProviderEvents.Ready);
      expect(await read(source, flag)).toMatchObject({ state: 'engaged' });
    }
  });

  test('answers as cached while it is STALE or in ERROR, and live again when READY', async () => {
    const provider = new Scripted(engaged(global));
    const source = await over(provider);
    for (const type of [ProviderEvents.Stale, ProviderEvents.Error]) {
      provider.events.emit(type, { message: 'stream broke' });
      expect(source.health).toMatchObject({ state: 'stale', why: expect.stringContaining('stream broke') });
      expect(await read(source)).toMatchObject({ state: 'engaged', origin: 'cached' });
      provider.events.emit(ProviderEvents.Ready);
      expect(source.health).toEqual({ state: 'fresh', since: expect.any(Number) });
      expect(await read(source)).toMatchObject({ origin: 'live' });
    }
  });

  test('lost while it was being read: the answer is not live', async () => {
    const provider: Scripted = new Scripted(() => {
      provider.events.emit(ProviderEvents.Stale);
      return { value: false, reason: 'STATIC' };
    });
    expect(await read(await over(provider))).toMatchObject({ state: 'released', origin: 'cached' });
  });

  test('swapped for another is unknown and stale, not a release', async () => {
    const domain = freshDomain();
    await OpenFeature.setProviderAndWait(domain, new Scripted(engaged(global), 'one'));
    const source = fromOpenFeature(OpenFeature.getClient(domain));
    sources.push(source);
    await source.open();
    expect(await read(source)).toMatchObject({ state: 'engaged' });
    await OpenFeature.setProviderAndWait(domain, new Scripted(released(global), 'two'));
    expect(await read(source)).toMatchObject({ state: 'unknown', message: expect.stringContaining('one') });
    expect(source.health.state).toBe('stale');
    await OpenFeature.clearProviders();
    expect(await read(source)).toMatchObject({ state: 'unknown' });
  });

  test('swapped in the middle of an evaluation is unknown too', async () => {
    const domain = freshDomain();
    await OpenFeature.setProviderAndWait(domain, new Scripted(released(global), 'one'));
    const source = fromOpenFeature(OpenFeature.getClient(domain));
    sources.push(source);
    await source.open();
    OpenFeature.addHooks({
      before: async () => {
        await OpenFeature.setProviderAndWait(domain, new Scripted(released(global), 'two'));
      },
    });
    expect(await read(source)).toMatchObject({ state: 'unknown' });
  });

  test('that is not ready in time leaves the source starting, and it becomes fresh when the provider is (S5)', async () => {
    const clock = manualClock();
    let ready: (() => void) | undefined;
    const provider = Object.assign(new Scripted(engaged(global)), {
      initialize: () => new Promise<void>((resolve) => (ready = resolve)),
    });
    const domain = freshDomain();
    OpenFeature.setProvider(domain, provider);
    const source = fromOpenFeature(OpenFeature.getClient(domain), { clock, openTimeoutMs: 500 });
    sources.push(source);
    const opening = source.open();
    await clock.advance(500);
    await opening;
    expect(source.health.state).toBe('starting');
    expect(await read(source)).toMatchObject({ state: 'unknown', cause: 'not-ready' });
    let heard = 0;
    source.subscribe(() => heard++);
    ready?.();
    await settle();
    expect([source.health.state, heard]).toEqual(['fresh', 1]);
    expect(await read(source)).toMatchObject({ state: 'engaged' });
    expect(clock.pending).toBe(0);
  });

  test('tells which flags changed, where it can, and after they can be read', async () => {
    const provider = new Scripted(released(global));
    const source = await over(provider);
    const heard: unknown[] = [];
    source.subscribe((change) => heard.push(change));
    provider.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: ['killswitch.global'] });
    provider.events.emit(ProviderEvents.ConfigurationChanged, {});
    expect(heard).toEqual([{ flagsChanged: ['killswitch.global'] }, {}]);
  });
});

describe('closing the source', () => {
  test('takes its handlers off the client, one of each type, and ends reads under way', async () => {
    const clock = manualClock();
    const client = await bound(new Scripted(() => new Promise(() => undefined)));
    const source = fromOpenFeature(client, { clock });
    const counts = () => Object.values(ProviderEvents).map((type) => client.getHandlers(type).length);
    const before = counts();
    await source.open();
    await source.open();
    expect(counts()).toEqual(before.map((count) => count + 1));
    const reading = read(source);
    await settle();
    await source.close();
    expect(counts()).toEqual(before);
    expect(await reading).toMatchObject({ state: 'unknown' });
    expect([source.health.state, clock.pending]).toEqual(['closed', 0]);
  });
});

describe('a flag that is no switch', () => {
  test('passes through with its details, and has no value where the caller’s default would be', async () => {
    const provider = new InMemoryProvider({
      colour: { variants: { b: 'blue' }, defaultVariant: 'b', disabled: false },
      on: { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
      off: { variants: { on: true, off: false }, defaultVariant: 'off', disabled: false },
      many: { variants: { m: 3 }, defaultVariant: 'm', disabled: false },
      shape: { variants: { s: { a: 1 } }, defaultVariant: 's', disabled: false },
      gone: { variants: { on: true, off: false }, defaultVariant: 'on', disabled: true },
    });
    const source = await over(provider);
    const resolve = async (key: string, type: 'boolean' | 'string' | 'number' | 'object') => source.resolve?.(key, type, {});
    expect(await resolve('colour', 'string')).toEqual({ value: 'blue', variant: 'b', reason: 'STATIC', flagMetadata: {} });
    expect(await resolve('on', 'boolean')).toMatchObject({ value: true });
    expect(await resolve('off', 'boolean')).toMatchObject({ value: false });
    expect(await resolve('many', 'number')).toMatchObject({ value: 3 });
    expect(await resolve('shape', 'object')).toMatchObject({ value: { a: 1 } });
    for (const type of ['boolean', 'string', 'number', 'object'] as const) {
      const disabled = await resolve('gone', type);
      expect(disabled).toEqual({ reason: 'DISABLED', flagMetadata: {} });
      expect(await resolve('missing', type)).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' });
    }
    expect(await resolve('colour', 'boolean')).toMatchObject({ errorCode: 'TYPE_MISMATCH' });
  });
});

describe('openFeatureSource', () => {
  test('binds the provider to a domain of its own and reads through it', async () => {
    const domain = freshDomain();
    const provider = new Scripted(engaged(global));
    const source = openFeatureSource({ provider, domain, series: 'vendor:prod' });
    sources.push(source);
    await source.open();
    expect(OpenFeature.getProvider(domain)).toBe(provider);
    expect(source.location).toBe(`scripted on domain ${domain}`);
    expect(await read(source)).toMatchObject({ state: 'engaged', position: { series: 'vendor:prod' } });
  });

  test('says in its health, and does not throw, that the provider failed to initialise', async () => {
    const provider = Object.assign(new Scripted(engaged(global)), { initialize: () => Promise.reject(new Error('no route')) });
    const source = openFeatureSource({ provider, domain: freshDomain() });
    sources.push(source);
    await source.open();
    expect(source.health).toMatchObject({ state: 'stale', why: expect.stringContaining('no route') });
  });
});
