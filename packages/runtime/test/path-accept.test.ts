// path-accept.test.ts: the door: who is let in, what who is not is told, and that it is nothing of ours.

import { AsyncLocalStorage } from 'node:async_hooks';
import {
  acceptRequest,
  carrierOf,
  carryingFetch,
  openToken,
  RuntimeError,
  type RuntimeErrorCode,
  sealPath,
  signRoot,
  tokenIn,
} from '@offswitch/runtime';
import { type BaggageEntry, type Context, type ContextManager, context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { afterEach, describe, expect, test, vi } from 'vitest';

const keys = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];
const now = 1_800_000_000_000;
const seal = (expiresAt: number) => sealPath(signRoot(keys, { session: 's-1' }), { expiresAt });
const accepting = async (headers: Headers) => {
  const token = tokenIn(headers);
  if (token === undefined) throw new RuntimeError('path_missing', 'nothing came along');
  return openToken(keys, token, now);
};
const asking = (headers: Record<string, string>) => new Request('http://agent.test/', { headers });
const carrying = (token: string) => asking({ ...carrierOf(token).headers });
const refusing = (code: RuntimeErrorCode) =>
  acceptRequest(
    () => Promise.reject(new RuntimeError(code, 'key k1, root s-1, store redis://inside')),
    async () => new Response('let in'),
  );

describe('a request handler behind acceptRequest', () => {
  test('gets the request and what accepting it gave', async () => {
    const handle = acceptRequest(
      accepting,
      async (request, arrival) => new Response(`${request.method} ${arrival.segments.at(-1)!.session}`),
    );
    expect(await (await handle(carrying(seal(now + 1)))).text()).toBe('GET s-1');
  });

  test.each<readonly [RuntimeErrorCode, Request]>([
    ['path_missing', asking({})],
    ['path_missing', asking({ baggage: 'tenant=acme' })],
    ['path_malformed', asking({ baggage: 'offswitch.path=hello' })],
    ['path_malformed', asking({ baggage: `offswitch.path=${seal(now + 1)},offswitch.path=${seal(now + 1)}` })],
    ['path_too_long', asking({ baggage: `offswitch.path=${'1'.repeat(4097)}` })],
    ['path_expired', carrying(seal(now))],
    ['path_forged', carrying(seal(now + 1).replace('s-1', 's-2'))],
    ['path_forged', carrying(seal(now + 1).replace('.k1.', '.k2.'))],
  ])('is not reached with %s: 401, and the code', async (code, request) => {
    let reached = 0;
    const refused: string[] = [];
    const handle = acceptRequest(
      accepting,
      async () => {
        reached++;
        return new Response();
      },
      { onRefused: (error) => refused.push(error.code) },
    );
    const response = await handle(request);
    expect([response.status, response.headers.get('content-type')]).toEqual([401, 'application/problem+json']);
    expect(response.headers.get('www-authenticate')).toBe(`Offswitch error="${code}"`);
    expect(await response.json()).toMatchObject({ status: 401, title: 'Unauthorized', code, type: 'about:blank' });
    expect([reached, refused]).toEqual([0, [code]]);
  });

  test('tells the two kinds of forgery apart to us and not to who knocks', async () => {
    const causes: string[] = [];
    const handle = acceptRequest(accepting, async () => new Response(), { onRefused: (error) => causes.push(error.message) });
    const [edited, unknown] = [seal(now + 1).replace('s-1', 's-2'), seal(now + 1).replace('.k1.', '.k2.')];
    const bodies = [await (await handle(carrying(edited))).text(), await (await handle(carrying(unknown))).text()];
    expect(bodies[0]).toBe(bodies[1]);
    expect(causes[0]).not.toBe(causes[1]);
  });

  test.each<readonly [RuntimeErrorCode, number]>([
    ['path_missing', 401],
    ['path_malformed', 401],
    ['path_too_long', 401],
    ['path_forged', 401],
    ['path_expired', 401],
    ['root_unknown', 401],
    ['root_settled', 410],
    ['session_elsewhere', 409],
    ['store_failed', 503],
    ['closed', 503],
    ['path_keys_missing', 503],
  ])('answers %s of the runtime with %d, and nothing of what the error says', async (code, status) => {
    const response = await refusing(code)(carrying(seal(now + 1)));
    const body = await response.text();
    expect(response.status).toBe(status);
    expect(JSON.parse(body)).toMatchObject({ status, code });
    expect(body).not.toMatch(/k1|s-1|redis/);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('leaves every other fault to who runs it', async () => {
    await expect(refusing('unknown_session')(carrying(seal(now + 1)))).rejects.toMatchObject({ code: 'unknown_session' });
    const broken = acceptRequest(
      async () => 1,
      () => Promise.reject(new RuntimeError('path_forged', 'of another request')),
    );
    await expect(broken(carrying(seal(now + 1)))).rejects.toMatchObject({ code: 'path_forged' });
  });

  test('stays shut when who listens to refusals throws', async () => {
    const handle = acceptRequest(accepting, async () => new Response(), {
      onRefused: () => {
        throw new Error('log is full');
      },
    });
    expect((await handle(asking({}))).status).toBe(401);
  });
});

/** As a program with OpenTelemetry's baggage propagation has it: what came in goes out with every request. */
describe('where OpenTelemetry passes baggage on', () => {
  afterEach(() => {
    context.disable();
    vi.restoreAllMocks();
  });
  function extracted(): Context {
    const entries: Record<string, BaggageEntry> = { 'offswitch.path': { value: seal(now + 1) }, tenant: { value: 'acme' } };
    return propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage(entries));
  }
  const names = () =>
    propagation
      .getActiveBaggage()
      ?.getAllEntries()
      .map(([name]) => name);

  test('the path that came in is out of the active baggage for the handler, and for what a carrying fetch sends', async () => {
    context.setGlobalContextManager(new AsyncContexts());
    const handle = acceptRequest(
      async () => 1,
      async () => new Response(String(names())),
    );
    const fetch = carryingFetch(async () => carrierOf(seal(now + 1)), {
      to: (url) => url.host === 'agent.test',
      fetch: async () => new Response(String(names())),
    });
    await context.with(extracted(), async () => {
      expect(names()).toEqual(['offswitch.path', 'tenant']);
      const answers = [handle(carrying(seal(now + 1))), fetch('http://agent.test/'), fetch('http://elsewhere.test/')];
      for (const answer of await Promise.all(answers)) expect(await answer.text()).toBe('tenant');
    });
  });

  test('a handler that throws is not called again', async () => {
    context.setGlobalContextManager(new AsyncContexts());
    let times = 0;
    const handle = acceptRequest(
      async () => 1,
      () => {
        times++;
        throw new Error('own');
      },
    );
    await context.with(extracted(), () => expect(handle(carrying(seal(now + 1)))).rejects.toThrow('own'));
    expect(times).toBe(1);
  });

  test('telemetry that throws keeps nobody out, and is not called twice (I13)', async () => {
    vi.spyOn(propagation, 'getActiveBaggage').mockImplementation(() => {
      throw new Error('broken');
    });
    let times = 0;
    const handle = acceptRequest(
      async () => 1,
      () => {
        times++;
        throw new Error('own');
      },
    );
    await expect(handle(carrying(seal(now + 1)))).rejects.toThrow('own');
    expect(times).toBe(1);
  });
});

/** As OpenTelemetry's own context manager for Node. */
class AsyncContexts implements ContextManager {
  private readonly store = new AsyncLocalStorage<Context>();
  active(): Context {
    return this.store.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    next: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.store.run(next, () => fn.call(thisArg as ThisParameterType<F>, ...args));
  }
  bind<T>(_context: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    this.store.disable();
    return this;
  }
}
