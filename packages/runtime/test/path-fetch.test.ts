// path-fetch.test.ts: who is sent the path, and who is not: over real sockets on loopback, where redirects are followed by the machine.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Carrier, carrierOf, carryingFetch, sealPath, signRoot, tokenIn } from '@offswitch/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const keys = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];
const tokenOf = (session: string) => sealPath(signRoot(keys, { session }), { expiresAt: 1 });
const token = tokenOf('s-1');
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const carry = async (): Promise<Carrier> => carrierOf(token, { traceparent, baggage: 'tenant=acme' });

interface Seen {
  readonly who: string;
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
let seen: Seen[] = [];
/** Two servers: ours, and a third party. Either sends on what asks for it: `/to/<status>/<address>`. */
const servers = ['ours', 'theirs'].map((who) =>
  createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      seen.push({ who, method: request.method!, headers: request.headers, body });
      const [, status, location] = /^\/to\/(\d+)\/(.+)$/.exec(request.url!) ?? [];
      if (status === undefined) response.end(who);
      else response.writeHead(Number(status), { location: decodeURIComponent(location!) }).end('elsewhere');
    });
  }),
);
let ours = '';
let theirs = '';

beforeAll(async () => {
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  [ours, theirs] = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`) as [string, string];
});
beforeEach(() => {
  seen = [];
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const via = (status: number, from: string, to: string) => `${from}/to/${status}/${encodeURIComponent(to)}`;
const fetching = () => carryingFetch(carry, { to: (url) => url.origin === ours });
const lastSeen = () => seen.at(-1)!;

describe('a carrying fetch', () => {
  test('adds the path for those who may see it, beside the headers of the caller', async () => {
    const response = await fetching()(ours, {
      method: 'POST',
      body: 'hi',
      headers: { authorization: 'Bearer x', baggage: 'a=1,tenant=mine' },
    });
    expect(await response.text()).toBe('ours');
    expect(lastSeen()).toMatchObject({ method: 'POST', body: 'hi', headers: { authorization: 'Bearer x', traceparent } });
    expect(lastSeen().headers.baggage).toBe(`offswitch.path=${token},tenant=acme,a=1,tenant=mine`);
    expect(tokenIn(lastSeen())).toBe(token);
  });

  test('leaves the trace context of the caller, and replaces a path of the caller by the one that is carried', async () => {
    const own = traceparent.replace('b7', 'c8');
    await fetching()(new Request(ours, { headers: { traceparent: own, baggage: `offswitch.path=${tokenOf('s-other')}` } }));
    expect(lastSeen().headers.traceparent).toBe(own);
    expect(tokenIn(lastSeen())).toBe(token);
  });

  test('sends it to nobody else, not even one that the caller passed on', async () => {
    let asked = 0;
    const fetch = carryingFetch(
      () => {
        asked++;
        return carry();
      },
      { to: (url) => url.origin === ours },
    );
    await fetch(theirs, { headers: { baggage: `a=1,offswitch.path=${token}`, 'x-own': '1' } });
    await fetch(new URL(theirs), { headers: { baggage: `offswitch.path=${token}` } });
    expect(seen.map((one) => [one.who, one.headers.baggage, one.headers['x-own'], one.headers.traceparent])).toEqual([
      ['theirs', 'a=1', '1', undefined],
      ['theirs', undefined, undefined, undefined],
    ]);
    expect(asked).toBe(0);
  });

  test.each([301, 302, 303, 307, 308])('takes it off where a %d leads to somebody else, with what authorises', async (status) => {
    const response = await fetching()(via(status, ours, theirs), {
      headers: { authorization: 'Bearer x', cookie: 'a=1', baggage: 'a=1' },
    });
    expect(await response.text()).toBe('theirs');
    expect(tokenIn(seen[0]!)).toBe(token);
    const { baggage, authorization, cookie } = lastSeen().headers;
    expect([baggage, authorization, cookie]).toEqual(['a=1', undefined, undefined]);
  });

  test('does not carry it again where somebody else sends us back to ourselves', async () => {
    await fetching()(via(302, ours, via(302, theirs, ours)));
    expect(seen.map((one) => [one.who, tokenIn(one) !== undefined])).toEqual([
      ['ours', true],
      ['theirs', false],
      ['ours', false],
    ]);
  });

  test('keeps it on the way through ours, and the method and body as fetch does', async () => {
    const fetch = fetching();
    const post = { method: 'POST', body: 'hi', headers: { 'content-type': 'text/plain', authorization: 'Bearer x' } };
    const ends: unknown[] = [];
    for (const status of [301, 302, 303, 307, 308]) {
      await fetch(via(status, ours, `${ours}/end`), post);
      const { method, body, headers } = lastSeen();
      ends.push([status, method, body, headers['content-type'], headers.authorization, tokenIn({ headers })]);
    }
    expect(ends).toEqual([
      [301, 'GET', '', undefined, 'Bearer x', token],
      [302, 'GET', '', undefined, 'Bearer x', token],
      [303, 'GET', '', undefined, 'Bearer x', token],
      [307, 'POST', 'hi', 'text/plain', 'Bearer x', token],
      [308, 'POST', 'hi', 'text/plain', 'Bearer x', token],
    ]);
  });

  test('leaves a redirect to the caller where the caller asked for it', async () => {
    const response = await fetching()(via(302, ours, theirs), { redirect: 'manual' });
    expect([response.status, seen.length]).toEqual([302, 1]);
    await expect(fetching()(via(302, ours, theirs), { redirect: 'error' })).rejects.toThrow(TypeError);
  });

  test('ends a redirect that cannot be followed as fetch does, with a TypeError', async () => {
    const stream = new Request(via(307, ours, ours), { method: 'POST', body: 'hi' });
    await expect(fetching()(stream)).rejects.toThrow(/stream/);
    await expect(fetching()(via(302, ours, 'data:text/plain,x'))).rejects.toThrow(/redirects to data:/);
    let hops = 0;
    const round = carryingFetch(carry, {
      to: () => true,
      fetch: async () => {
        hops++;
        return new Response(null, { status: 302, headers: { location: '/' } });
      },
    });
    await expect(round(ours)).rejects.toThrow(/more than 20 times/);
    expect(hops).toBe(21);
  });

  test('sends nothing where there is no path to carry', async () => {
    const fetch = carryingFetch(() => Promise.reject(new Error('session ended')), { to: () => true });
    await expect(fetch(ours)).rejects.toThrow('session ended');
    expect(seen).toEqual([]);
  });
});

describe('a carrying fetch that asks again', () => {
  const gaveUp = new TypeError('fetch failed', {
    cause: Object.assign(new Error('no headers'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
  });
  const reset = new TypeError('fetch failed', { cause: Object.assign(new Error('gone'), { code: 'ECONNRESET' }) });

  test.each([
    {
      name: 'asks until there is an answer, with a path that is made anew',
      asksAgain: true,
      error: gaveUp,
      asked: 3,
      answer: 'ours',
    },
    {
      name: 'does not where the connection was lost',
      asksAgain: true,
      error: reset,
      asked: 1,
      answer: 'TypeError: fetch failed',
    },
    { name: 'does not unless it was told to', asksAgain: false, error: gaveUp, asked: 1, answer: 'TypeError: fetch failed' },
  ])('$name', async ({ asksAgain, error, asked, answer }) => {
    let tries = 0;
    let carried = 0;
    const fetching = carryingFetch(async () => carrierOf(tokenOf(`s-${++carried}`)), {
      to: () => true,
      asksAgain,
      fetch: (input, init) => (++tries < 3 ? Promise.reject(error) : fetch(input, init)),
    });
    const body = fetching(ours, { method: 'POST', body: 'newts' }).then((response) => response.text(), String);
    expect([await body, tries, carried]).toEqual([answer, asked, asked]);
  });

  test.each([
    ['a stream', () => new Blob(['newts']).stream()],
    [
      'what a generator makes',
      async function* () {
        yield Buffer.from('newts');
      },
    ],
  ])('does not send %s twice', async (_, makeBody) => {
    let tries = 0;
    const fetching = carryingFetch(carry, {
      to: () => true,
      asksAgain: true,
      fetch: async () => {
        if (++tries === 1) throw gaveUp;
        return new Response();
      },
    });
    const body = makeBody();
    await expect(fetching(ours, { method: 'POST', body, duplex: 'half' } as unknown as RequestInit)).rejects.toThrow(
      'fetch failed',
    );
    expect(tries).toBe(1);
  });
});
