// malformed.test.ts: what crashes the host of a bare SDK is seen, said and survived (I13).

import { launchDarkly } from '@offswitch/launchdarkly';
import { contractSwitches, waitUntil, watchHost } from '@offswitch/testing';
import { openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { describe, expect, test } from 'vitest';
import { sdks } from './harness.ts';

const { global } = contractSwitches;

/** Each of these stops the process in which SDK 9.13.7 or 7.0.4 reads it from its own stream, or is passed over in silence. */
const events: readonly (readonly [string, string])[] = [
  ['a patch without a path', 'event: patch\ndata: {"data":{"key":"a","version":9}}\n\n'],
  ['a patch without data', 'event: patch\ndata: {"path":"/flags/a","data":null}\n\n'],
  ['a patch of null', 'event: patch\ndata: null\n\n'],
  ['a delete without a path', 'event: delete\ndata: {"version":3}\n\n'],
  ['a put of nothing', 'event: put\ndata: {}\n\n'],
  [
    'a flag whose rules are a string',
    'event: patch\ndata: {"path":"/flags/a","data":{"key":"a","version":9,"on":true,"variations":[],"rules":"x"}}\n\n',
  ],
  [
    'a flag whose version is a text',
    'event: patch\ndata: {"path":"/flags/a","data":{"key":"a","version":"9","on":true,"variations":[]}}\n\n',
  ],
  [
    'a flag that looks at an attribute without a name',
    'event: patch\ndata: {"path":"/flags/a","data":{"key":"a","version":9,"on":true,"variations":[true],"rules":[{"variation":0,"clauses":[{"op":"in","attribute":{},"values":[]}]}]}}\n\n',
  ],
  ['half a JSON document', 'event: patch\ndata: {"path":"/flags/a","da\n\n'],
];

describe.each(['9', '7'] as const)('a stream that brings what cannot be read, SDK %s', (version) => {
  test.each(events)('%s crashes nothing, is told in health, and the next data is taken', async (_what, text) => {
    const host = watchHost();
    const server = await openLaunchDarklyServer();
    server.setFlag({ key: global.key, on: true });
    const url = server.url;
    const source = launchDarkly({
      sdkKey: server.sdkKey,
      sdk: sdks[version],
      baseUri: url,
      streamUri: url,
      eventsUri: url,
      // Only the stream is there to find out, and to mend it.
      pollMs: Number.POSITIVE_INFINITY,
    });
    await source.open();
    const why: (string | undefined)[] = [];
    source.subscribe(() => why.push(source.health.why));
    server.send(text);
    expect(await waitUntil(source, 5000, () => why.some((one) => one?.includes('cannot be read')))).toBe(true);
    expect(await source.read(global, {})).toMatchObject({ state: 'engaged' });
    expect(await waitUntil(source, 5000, () => source.health.state === 'fresh')).toBe(true);
    server.changeFlag(global.key, (flag) => ({ ...flag, config: { ...flag.config, on: false } }));
    expect(await waitUntil(source, 5000, async () => (await source.read(global, {})).state === 'released')).toBe(true);
    await source.close();
    await server.close();
    await host.end();
    expect(host.uncaught).toEqual([]);
  });
});
