// sdk-faults.test.ts: the ways in which the vendor's own transport loses or lifts a kill (measured on SDK 1.8.0), each as a rule
// that our source holds. Reconciling is switched off where it would hide what the stream alone does.

import { randomBytes } from 'node:crypto';
import { GrowthBookClient } from '@growthbook/growthbook';
import { defineKillSwitches } from '@offswitch/core';
import { type GrowthBookOptions, type GrowthBookSource, growthBook } from '@offswitch/growthbook';
import {
  encrypt,
  type GrowthBookServer,
  type GrowthBookServerOptions,
  startGrowthBookServer,
} from '@offswitch/testing/growthbook';
import { afterEach, describe, expect, test } from 'vitest';
import { quick } from './harness.ts';
import { until } from './until.ts';

const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {}, user: { authorized: ['support'] } });
const { global } = switches;
const user = switches.user!;
const key = global.key;
const on = { defaultValue: true };
const off = { defaultValue: false };

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function scripted(options: GrowthBookServerOptions = {}): Promise<GrowthBookServer> {
  const server = await startGrowthBookServer({ pingEveryMs: 50, ...options });
  closing.push(() => server.close());
  server.setFeature('killswitch.canary', on);
  server.setFeature(key, off);
  return server;
}

/** What only the stream tells: nothing is reconciled. */
const streamOnly = { reconcileMs: 500_000, staleAfterMs: 1_000_000 } as const;

function over(server: GrowthBookServer, options: Partial<GrowthBookOptions> = {}): GrowthBookSource {
  const source = growthBook({ apiHost: server.url, clientKey: server.clientKey, ...quick, ...options });
  closing.push(() => source.close());
  return source;
}

async function opened(server: GrowthBookServer, options: Partial<GrowthBookOptions> = {}): Promise<GrowthBookSource> {
  const source = over(server, options);
  await source.open();
  return source;
}

const soon = new Date(Date.now() + 3_600_000).toISOString();
const reads = (source: GrowthBookSource): string => {
  const reading = source.read(global, {});
  return reading.state === 'unknown' ? `unknown: ${reading.cause}` : `${reading.state}, ${reading.origin}`;
};
const until1 = (source: GrowthBookSource, wanted: string): Promise<void> => until(source, () => reads(source) === wanted);
/** Waits on something of the server's that nobody is told of; bounded by the test's own limit. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
/** The stream is open, and the fetch that its opening asked for is over: what comes now comes through the stream. */
const streamed = async (server: GrowthBookServer, source: GrowthBookSource): Promise<void> => {
  const isFetched = (): boolean => server.requests.slice(server.requests.lastIndexOf(`GET /sub/${server.clientKey}`)).length > 1;
  await eventually(() => server.streams.count > 0 && isFetched());
  await source.refresh();
};
const isStream = (path: string): boolean => path.startsWith('/sub/');

describe('a kill made in GrowthBook', () => {
  test('while the event stream was away is seen as soon as it is back', async () => {
    const server = await scripted();
    const source = await opened(server, streamOnly);
    await streamed(server, source);
    server.intercept = ({ path }) => (isStream(path) ? { status: 503, body: {} } : undefined);
    server.streams.end('destroy');
    await eventually(() => server.requests.filter((one) => one.includes('/sub/')).length > 1);
    server.setFeature(key, on);
    server.intercept = undefined;
    await until1(source, 'engaged, live');
  });

  test('between the first fetch and the opening of the stream is seen', async () => {
    const server = await scripted();
    server.intercept = ({ path }) => {
      if (isStream(path)) {
        server.intercept = undefined;
        server.setFeature(key, on);
      }
      return undefined;
    };
    const source = await opened(server, streamOnly);
    await until1(source, 'engaged, live');
  });

  test('is seen though the server ends every stream after a while and asks clients to stay away for ten seconds', async () => {
    const server = await scripted({ maxDurationMs: 60, retryMs: 10_000 });
    const source = await opened(server, streamOnly);
    await eventually(() => server.streams.opened >= 4);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
  });

  test('is seen by the periodic fetch though the stream is open and tells nothing', async () => {
    const server = await scripted({ push: 'none' });
    const source = await opened(server);
    await streamed(server, source);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
  });

  test('is seen by the stream though one fetch hangs for ever', async () => {
    const server = await scripted({ push: 'features-updated' });
    const source = await opened(server, { ...streamOnly, requestTimeoutMs: 80 });
    await streamed(server, source);
    server.intercept = ({ path }) => {
      if (isStream(path)) return undefined;
      server.intercept = undefined;
      return 'hang';
    };
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
  });

  test('is seen though the news of it came while an older fetch was under way', async () => {
    const server = await scripted({ push: 'features-updated' });
    const source = await opened(server, { ...streamOnly, requestTimeoutMs: 5000 });
    await streamed(server, source);
    await source.refresh();
    let isHeld = false;
    let answerOld = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answerOld = resolve;
    });
    server.intercept = async ({ path }) => {
      if (isStream(path) || isHeld) return undefined;
      isHeld = true;
      const old = server.payload();
      await answered;
      return { status: 200, body: old };
    };
    const refreshed = source.refresh();
    await eventually(() => isHeld);
    server.setFeature(key, on);
    await new Promise((resolve) => setImmediate(resolve));
    answerOld();
    await refreshed;
    await until1(source, 'engaged, live');
  });

  test('is seen by a stream that takes the place of one that fell silent without being closed', async () => {
    const server = await scripted();
    const source = await opened(server, { ...streamOnly, heartbeatMs: 200 });
    await streamed(server, source);
    server.streams.freeze(true);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    expect(server.streams.opened).toBeGreaterThan(1);
  });

  test('is seen within the bound however long the outage was', async () => {
    const server = await scripted();
    const source = await opened(server, { ...streamOnly, reconnectWithinMs: 20 });
    await streamed(server, source);
    let refused = 0;
    server.intercept = ({ path }) => {
      if (!isStream(path)) return undefined;
      refused++;
      return { status: 503, body: {} };
    };
    server.streams.end('destroy');
    await eventually(() => refused >= 15);
    server.intercept = undefined;
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
  });
});

describe('a kill that was seen', () => {
  test('is not undone by an older payload, and health says so until a newer one comes', async () => {
    const server = await scripted();
    const source = await opened(server);
    await streamed(server, source);
    const older = server.payload();
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    server.override(older);
    server.push();
    await until1(source, 'engaged, cached');
    expect(source.health).toMatchObject({ state: 'stale', why: expect.stringContaining('older') });
    server.override(undefined);
    await until1(source, 'engaged, live');
  });

  test('is not undone by other content under the same dateUpdated, while an engage under it counts (S3)', async () => {
    const server = await scripted();
    const source = await opened(server, streamOnly);
    await streamed(server, source);
    const same = server.payload();
    const features = same.features as Record<string, unknown>;
    server.override({ ...same, features: { ...features, [key]: on } });
    server.push();
    await until1(source, 'engaged, live');
    server.override({ ...same, features: { ...features, more: on } });
    server.push();
    await until1(source, 'engaged, cached');
    server.override(undefined);
    server.setFeature(key, off);
    await until1(source, 'released, live');
  });

  test.each([
    ['is not in the payload', {}],
    ['is no list', { grp_1: { type: 'list' } }],
  ])(
    'stands when the saved group that names its subject %s, which the SDK takes for an empty one (S3)',
    async (_, savedGroups) => {
      const server = await scripted();
      const source = await opened(server);
      await streamed(server, source);
      const features = {
        ...(server.payload().features as Record<string, unknown>),
        [user.key]: { defaultValue: false, rules: [{ force: true, condition: { userId: { $inGroup: 'grp_1' } } }] },
      };
      const read = (userId: string): string => source.read(user, { userId }).state;
      const sends = async (groups: Record<string, unknown>, n: number): Promise<void> => {
        const dateUpdated = new Date(Date.now() + n).toISOString();
        server.override({ features, dateUpdated, savedGroups: groups });
        await source.refresh();
      };
      await sends({ grp_1: ['u-1', 'nobody'] }, 1000);
      expect([read('u-1'), read('u-2')]).toEqual(['engaged', 'released']);
      await sends(savedGroups, 2000);
      expect([read('u-1'), read('u-2')]).toEqual(['unknown', 'unknown']);
      await sends({ grp_1: { type: 'list', attributeKey: 'userId', values: ['nobody'] } }, 3000);
      expect([read('u-1'), read('u-2')]).toEqual(['released', 'released']);
    },
  );

  test('stands when two encrypted payloads come at once, a large one and then a small one', async () => {
    const encryptionKey = randomBytes(16).toString('base64');
    const server = await scripted({ encryptionKey });
    const source = await opened(server, { ...streamOnly, decryptionKey: encryptionKey });
    await streamed(server, source);
    server.setFeature('large', { defaultValue: 'x'.repeat(3_000_000) });
    const before = server.payload();
    server.setFeature('large', undefined);
    server.setFeature(key, on);
    server.push(JSON.stringify(before));
    await until1(source, 'engaged, live');
    await source.refresh();
    expect(reads(source)).toBe('engaged, live');
  });

  test('stands when a payload comes that cannot be decrypted', async () => {
    const encryptionKey = randomBytes(16).toString('base64');
    const server = await scripted({ encryptionKey });
    const source = await opened(server, { decryptionKey: encryptionKey });
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    const damaged = encrypt('{}', randomBytes(16).toString('base64'));
    server.override({ ...server.payload(), dateUpdated: new Date(Date.now() + 1000).toISOString(), encryptedFeatures: damaged });
    server.push();
    await until1(source, 'engaged, cached');
    expect(source.health.why).toContain('decrypt');
  });

  test.each([
    ['no JSON', '{"features":'],
    ['null', 'null'],
    ['an empty object', '{}'],
    ['a list', '[]'],
    ['features: null', `{"features":null,"dateUpdated":"${soon}"}`],
    ['features: {}', `{"features":{},"dateUpdated":"${soon}"}`],
    ['a feature that is no object', `{"features":{"killswitch.canary":true},"dateUpdated":"${soon}"}`],
    [
      'a date of a clock years ahead',
      '{"features":{"killswitch.canary":{"defaultValue":true}},"dateUpdated":"2099-01-01T00:00:00.000Z"}',
    ],
    ['a canary whose rules are none', `{"features":{"killswitch.canary":{"rules":"x"}},"dateUpdated":"${soon}"}`],
    ['no dateUpdated', '{"features":{"killswitch.canary":{"defaultValue":true}}}'],
    ['a canary that is false', `{"features":{"killswitch.canary":{"defaultValue":false}},"dateUpdated":"${soon}"}`],
    ['an environment without the canary', `{"features":{"other":{"defaultValue":1}},"dateUpdated":"${soon}"}`],
  ])('stands when the stream sends %s, and the next fetch heals', async (_, data) => {
    const server = await scripted();
    const source = await opened(server);
    await streamed(server, source);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    const seen: string[] = [];
    source.subscribe(() => seen.push(reads(source)));
    server.push(data);
    await until(source, () => seen.includes('engaged, cached'));
    await until1(source, 'engaged, live');
    expect(new Set(seen)).toEqual(new Set(['engaged, cached', 'engaged, live']));
  });

  test('is proven again at once after garbage on the stream, not only with the next periodic fetch', async () => {
    const server = await scripted();
    const source = await opened(server, streamOnly);
    await streamed(server, source);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    const doubted = until(source, () => source.health.state === 'stale');
    server.push('{}');
    await doubted;
    await until1(source, 'engaged, live');
  });

  test('grows old by our own clock when nothing proves it any more', async () => {
    const server = await scripted();
    let ahead = 0;
    const source = await opened(server, { ...streamOnly, staleAfterMs: 600_000, now: () => Date.now() + ahead });
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    ahead = 600_001;
    expect(reads(source)).toBe('engaged, cached');
    expect(source.health.state).toBe('stale');
    // A clock that was set back says nothing of how old the data are.
    ahead = -1_000_000;
    expect(reads(source)).toBe('engaged, cached');
  });
});

describe('a source that cannot reach GrowthBook at its start', () => {
  test('reads unknown and never released, opens within its bound, and comes by its data without a restart', async () => {
    const server = await scripted();
    server.fault('server-error');
    const source = await opened(server, { openWithinMs: 150 });
    expect(reads(source)).toBe('unknown: error');
    expect(source.health).toMatchObject({ state: 'starting', why: expect.stringContaining('500') });
    server.fault(undefined);
    await until1(source, 'released, live');
  });

  test('takes a 400 for a fault that may pass, and comes back', async () => {
    const server = await scripted();
    server.intercept = () => ({ status: 400, body: { message: 'try again' } });
    const source = await opened(server, { openWithinMs: 100 });
    expect(reads(source)).toBe('unknown: error');
    server.intercept = undefined;
    await until1(source, 'released, live');
  });

  test('says that the decryption key is wrong, and reads unknown', async () => {
    const server = await scripted({ encryptionKey: randomBytes(16).toString('base64') });
    const source = await opened(server, { decryptionKey: randomBytes(16).toString('base64'), openWithinMs: 100 });
    expect(reads(source)).toBe('unknown: error');
    expect(source.health.why).toContain('decryptionKey');
  });

  test('says that a key is needed where there is none', async () => {
    const server = await scripted({ encryptionKey: randomBytes(16).toString('base64') });
    const source = await opened(server, { openWithinMs: 100 });
    expect(source.health.why).toContain('give `decryptionKey`');
  });

  test('learns nothing from another client of the same host and key in the same process', async () => {
    const server = await scripted();
    await opened(server);
    server.fault('server-error');
    const second = await opened(server, { openWithinMs: 100 });
    expect(reads(second)).toBe('unknown: error');
  });

  test('honours Retry-After, and comes back after it', async () => {
    const server = await scripted();
    server.fault('rate-limited');
    const source = await opened(server, { openWithinMs: 400 });
    expect(server.requests.length).toBe(1);
    server.fault(undefined);
    await until1(source, 'released, live');
  });
});

describe('two clients in one process', () => {
  test('do not touch each other: one closes, and the other hears on', async () => {
    const server = await scripted();
    const first = await opened(server, streamOnly);
    const second = await opened(server, streamOnly);
    await eventually(() => server.streams.count === 2);
    await first.close();
    await eventually(() => server.streams.count === 1);
    server.setFeature(key, on);
    await until1(second, 'engaged, live');
    expect(reads(first)).toBe('unknown: error');
  });

  test("are not touched by the application's own SDK client, nor touch it", async () => {
    const server = await scripted();
    const own = new GrowthBookClient({ apiHost: server.url, clientKey: server.clientKey });
    // This switches streaming off for every client of the SDK in this process.
    await own.init({ streaming: false });
    const source = await opened(server, streamOnly);
    await streamed(server, source);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    expect(own.isOn(key, {})).toBe(false);
    own.destroy({ destroyAllStreams: true });
    server.setFeature(key, off);
    await until1(source, 'released, live');
  });
});

describe('the event stream', () => {
  test('needs no EventSource: neither a global one nor a polyfill', async () => {
    expect('EventSource' in globalThis).toBe(false);
    const server = await scripted();
    const source = await opened(server, streamOnly);
    await streamed(server, source);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
  });

  test('is left alone where the host does not say that it has one', async () => {
    const server = await scripted({ streaming: false });
    const source = await opened(server);
    server.setFeature(key, on);
    await until1(source, 'engaged, live');
    expect(server.requests.some((one) => one.includes('/sub/'))).toBe(false);
  });

  test('is closed with the source, and so is a fetch that hangs', async () => {
    const server = await scripted();
    const source = await opened(server);
    await streamed(server, source);
    let hangs = 0;
    server.intercept = ({ path }) => {
      if (isStream(path)) return undefined;
      hangs++;
      return 'hang';
    };
    void source.refresh();
    await eventually(() => hangs > 0);
    await source.close();
    await eventually(() => server.streams.count === 0);
  });
});

describe('a feature that the SDK cannot evaluate', () => {
  test.each([
    ['rules that are a string', { defaultValue: true, rules: 'str' }],
    ['a rule that is null', { defaultValue: true, rules: [null] }],
  ])('reads unknown and throws nothing: %s', async (_, definition) => {
    const server = await scripted();
    const source = await opened(server);
    server.setFeature(key, definition);
    await until(source, () => reads(source).startsWith('unknown'));
    expect(source.read(switches.user!, { userId: 'u-1' }).state).toBe('unknown');
    expect(source.resolve(key, 'boolean', {})).toMatchObject({ errorCode: 'PARSE_ERROR' });
  });

  test.each([
    [
      'a gate that is closed',
      { defaultValue: false, rules: [{ parentConditions: [{ id: 'parent', condition: { value: true }, gate: true }] }] },
      'error',
    ],
    [
      'prerequisites in a circle',
      { defaultValue: false, rules: [{ parentConditions: [{ id: key, condition: { value: true } }] }] },
      'error',
    ],
    ['no default value', {}, 'wrong-type'],
    ['a string that says engaged', { defaultValue: 'true' }, 'wrong-type'],
  ])('reads unknown, never released: %s', async (_, definition, cause) => {
    const server = await scripted();
    const source = await opened(server);
    server.setFeature(key, definition);
    await until1(source, `unknown: ${cause}`);
  });

  test('reads not-found for a key that only the prototype of an object has', async () => {
    const server = await scripted();
    const source = await opened(server);
    for (const odd of ['constructor', 'toString', '__proto__']) {
      const flag = defineKillSwitches({ global: { authorized: ['a'], key: odd }, features: {} }).global;
      expect(source.read(flag, {})).toMatchObject({ state: 'unknown', cause: 'not-found' });
      expect(source.resolve(odd, 'boolean', {})).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' });
    }
  });
});
