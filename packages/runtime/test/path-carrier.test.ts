// path-carrier.test.ts: the path in headers, in MCP's `_meta` and in the environment, beside what others put there. What is broken is an
// error and never "no path".

import { carrierOf, pathMetaKey, pathVariable, RuntimeError, sealPath, signRoot, tokenIn } from '@offswitch/runtime';
import { ROOT_CONTEXT, type Span, type SpanContext, TraceFlags, trace } from '@opentelemetry/api';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';

const keys = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];
const tokenOf = (session: string) =>
  sealPath(signRoot(keys, { session, workflow: 'alpha', user: 'ada@example.com' }), { expiresAt: 1 });
const token = tokenOf('s-1');
const other = tokenOf('s-2');
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function codeOf(act: () => unknown): string {
  try {
    act();
    return 'none';
  } catch (error) {
    if (RuntimeError.is(error)) return error.code;
    throw error;
  }
}

describe('a carrier', () => {
  test('is pinned: the names in each place', () => {
    expect(carrierOf(token, { traceparent, baggage: 'tenant=acme' })).toEqual({
      headers: { traceparent, baggage: `offswitch.path=${token},tenant=acme` },
      meta: { traceparent, 'io.github.offswitch/path': token },
      env: { OFFSWITCH_PATH: token },
    });
    expect([pathMetaKey, pathVariable]).toEqual(['io.github.offswitch/path', 'OFFSWITCH_PATH']);
  });

  test('keeps the members of others as they were, and takes out a path that was there', () => {
    const foreign = 'a=1;p=x, b = %20 ;q,c=';
    const { baggage } = carrierOf(token, { baggage: ` ${foreign}, offswitch.path=${other} , OffSwitch.Path=zz,,` }).headers;
    expect(baggage).toBe(`offswitch.path=${token},a=1;p=x,b = %20 ;q,c=`);
  });

  test('leaves out what no header can hold, rather than make the request fail', () => {
    const { headers } = carrierOf(token, { baggage: 'a=1\r\nx-evil: 1,b=ü,c=3', traceparent: `${traceparent}\r\nx-evil: 1` });
    expect(headers).toEqual({ baggage: `offswitch.path=${token},c=3` });
  });

  test.each(['', '00-0-0-00', `01${traceparent.slice(2)}`, traceparent.replace(/^00-[^-]+/, `00-${'0'.repeat(32)}`)])(
    'goes without a trace context that is none: %j',
    (text) => {
      expect(carrierOf(token, { traceparent: text }).headers).not.toHaveProperty('traceparent');
    },
  );

  test('refuses what is no token, and baggage that would be cut on the way', () => {
    expect(codeOf(() => carrierOf('hello'))).toBe('path_malformed');
    expect(codeOf(() => carrierOf('1'.repeat(4097)))).toBe('path_too_long');
    const full = (bytes: number) => `a=${'x'.repeat(bytes - `offswitch.path=${token},a=`.length)}`;
    expect(carrierOf(token, { baggage: full(8192) }).headers.baggage).toHaveLength(8192);
    expect(codeOf(() => carrierOf(token, { baggage: full(8193) }))).toBe('path_too_long');
    const many = (members: number) => Array.from({ length: members }, (_, n) => `m${n}=1`).join(',');
    expect(codeOf(() => carrierOf(token, { baggage: many(63) }))).toBe('none');
    expect(codeOf(() => carrierOf(token, { baggage: many(64) }))).toBe('path_too_long');
  });
});

describe('headers as a list', () => {
  const lists: readonly (readonly [string, unknown[]])[] = [
    [
      'of pairs',
      [
        ['accept', '*/*'],
        ['Baggage', `a=1,offswitch.path=${token}`],
      ],
    ],
    ['of names and values in turn', ['accept', '*/*', 'Baggage', `a=1,offswitch.path=${token}`]],
  ];
  test.each(lists)('%s are no "no path"', (_, headers) => {
    expect(tokenIn(headers)).toBe(token);
    expect(tokenIn({ headers })).toBe(token);
    expect(tokenIn({ headers: headers.slice(0, headers.length / 2) })).toBeUndefined();
    expect(codeOf(() => tokenIn([['baggage', 'offswitch.path=hello']]))).toBe('path_malformed');
  });
});

describe('the trace of a carrier', () => {
  afterEach(() => void vi.restoreAllMocks());
  const active = (context: SpanContext) => vi.spyOn(trace, 'getSpanContext').mockReturnValue(context);

  test('is that of the active span, whatever propagators are set up', () => {
    const span: Span = trace.wrapSpanContext({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    });
    active(trace.getSpanContext(trace.setSpan(ROOT_CONTEXT, span))!);
    expect(carrierOf(token).headers.traceparent).toBe(traceparent);
    expect(carrierOf(token).meta.traceparent).toBe(traceparent);
  });

  test('is none where there is no span, where it is not valid, or where telemetry throws (I13)', () => {
    expect(carrierOf(token).headers).toEqual({ baggage: `offswitch.path=${token}` });
    active({ traceId: '0', spanId: '0', traceFlags: 0 });
    expect(carrierOf(token).headers).not.toHaveProperty('traceparent');
    vi.spyOn(trace, 'getSpanContext').mockImplementation(() => {
      throw new Error('exporter down');
    });
    expect(carrierOf(token).headers).not.toHaveProperty('traceparent');
  });
});

describe('a token that came along', () => {
  const carrier = carrierOf(token, { traceparent, baggage: 'tenant=acme' });

  test.each<readonly [string, object]>([
    ['Headers', new Headers(carrier.headers)],
    ['a Request', new Request('http://agent.test/', { headers: carrier.headers })],
    ['an IncomingMessage', { method: 'POST', headers: { ...carrier.headers } }],
    ['plain headers', carrier.headers],
    ['headers in another spelling, as a list', { Baggage: ['tenant=acme', `offswitch.path=${token}`] }],
    [
      'a Map of headers',
      new Map([
        ['accept', '*/*'],
        ['Baggage', `a=1,offswitch.path=${token}`],
      ]),
    ],
    ['a Map of headers that are lists', new Map([['baggage', ['tenant=acme', `offswitch.path=${token}`]]])],
    ['headers that are a Map', { headers: new Map([['BAGGAGE', carrier.headers.baggage!]]) }],
    ['a Map that is an MCP request', new Map([['params', new Map([['_meta', new Map(Object.entries(carrier.meta))]])]])],
    ['an environment that is a Map', new Map(Object.entries(carrier.env))],
    ['the carrier itself', carrier],
    ['an MCP request', { method: 'tools/call', params: { name: 'x', _meta: carrier.meta } }],
    ['the params of one', { name: 'x', _meta: carrier.meta }],
    ['_meta', carrier.meta],
    ['an environment', { PATH: '/bin', ...carrier.env }],
    ['baggage with spaces and properties', { baggage: `a=1, offswitch.path = ${token} ; p=1 ,b=2` }],
    ['baggage that a library encoded anew', { baggage: `offswitch.path=${encodeURIComponent(token)}` }],
    ['baggage whose other members are garbage', { baggage: `=,;;,%zz=1,"a"=2,offswitch.path=${token}` }],
  ])('is found in %s', (_what, holder) => {
    expect(tokenIn(holder)).toBe(token);
  });

  test.each<readonly [string, object | undefined]>([
    ['nothing', undefined],
    ['no headers', new Headers()],
    [
      'a Map of headers of others',
      new Map([
        ['baggage', ['a']],
        ['accept', ['*/*']],
      ]),
    ],
    ['baggage of others', { baggage: 'tenant=acme, offswitch.paths=1,xoffswitch.path=2' }],
    ['an environment without it', { PATH: '/bin', BAGGAGE: 'a=1', OFFSWITCH_PATH: undefined }],
    ['an MCP request without _meta', { method: 'tools/list', params: {} }],
    ['_meta of others', { _meta: { progressToken: 1 } }],
    ['members that are no objects', { headers: null, env: 'x', params: { _meta: 7 } }],
  ])('is undefined in %s', (_what, holder) => {
    expect(tokenIn(holder)).toBeUndefined();
  });

  test.each<readonly [string, object]>([
    ['two members', { baggage: `offswitch.path=${token},offswitch.path=${token}` }],
    ['two headers', { baggage: [`offswitch.path=${token}`, `offswitch.path=${other}`] }],
    ['two spellings of the header', { baggage: `offswitch.path=${token}`, Baggage: `offswitch.path=${other}` }],
    ['two places that differ', { headers: { baggage: `offswitch.path=${token}` }, _meta: { [pathMetaKey]: other } }],
    ['no value', { baggage: 'offswitch.path' }],
    ['an empty value', { baggage: 'offswitch.path=' }],
    ['a property where the value should be', { baggage: `offswitch.path;p=${token}` }],
    ['another spelling of the name', { baggage: `Offswitch.Path=${token}` }],
    ['an encoded name', { baggage: `offswitch%2Epath=${token}` }],
    ['a broken encoding', { baggage: 'offswitch.path=%zz' }],
    ['words', { baggage: 'offswitch.path=hello' }],
    ['baggage that is no text', { baggage: 7 }],
    ['baggage of a Map that is no text', new Map([['Baggage', 7]])],
    ['two spellings of the header in a Map', new Map(['baggage', 'Baggage'].map((name) => [name, `offswitch.path=${token}`]))],
    ["baggage that is no text in somebody's own headers", { get: () => ['a'], has: () => true, forEach: () => {} }],
    ['_meta that is no text', { [pathMetaKey]: { token } }],
    ['_meta that is null', { [pathMetaKey]: null }],
    ['an empty variable', { OFFSWITCH_PATH: '' }],
    ['a variable with a line break', { OFFSWITCH_PATH: `${token}\n` }],
  ])('is path_malformed for %s', (_what, holder) => {
    expect(codeOf(() => tokenIn(holder))).toBe('path_malformed');
  });

  test('is path_too_long past its limit, in each place', () => {
    const long = `1.k1.${'s'.repeat(4096)}`;
    for (const holder of [{ baggage: `offswitch.path=${long}` }, { [pathMetaKey]: long }, { OFFSWITCH_PATH: long }])
      expect(codeOf(() => tokenIn(holder))).toBe('path_too_long');
  });

  test('is our own key where baggage, which others pass on unasked, holds another', () => {
    expect(tokenIn({ _meta: { [pathMetaKey]: token, baggage: `offswitch.path=${other}` } })).toBe(token);
    expect(tokenIn({ OFFSWITCH_PATH: token, BAGGAGE: `offswitch.path=${other}` })).toBe(token);
  });

  test('is found among whatever else baggage holds, or refused; nothing else is thrown', () => {
    const member = fc.string({ unit: 'grapheme-ascii', maxLength: 12 });
    fc.assert(
      fc.property(fc.array(member), fc.array(member), (before, after) => {
        const text = [...before, `offswitch.path=${token}`, ...after].join(',');
        expect(tokenIn({ baggage: text })).toBe(token);
        expect(tokenIn(new Headers({ baggage: carrierOf(token, { baggage: text }).headers.baggage! }))).toBe(token);
      }),
    );
    const any = fc.anything({ withMap: true });
    fc.assert(fc.property(fc.dictionary(fc.string(), any), (holder) => void codeOf(() => tokenIn(holder))));
    const name = fc.oneof(fc.constantFrom('baggage', 'Baggage', 'headers', '_meta', pathMetaKey), any);
    fc.assert(fc.property(fc.array(fc.tuple(name, any)), (pairs) => void codeOf(() => tokenIn(new Map(pairs)))));
  });
});
