// carrier.ts: a token in the three places where something carries it from process to process: headers, MCP's `_meta`, the environment.
//
// Absent is `undefined`, and anything else that is no path is an error: a child taken for a root is a child that no stop of
// its parent reaches.

import { isMap } from 'node:util/types';
import { context, trace } from '@opentelemetry/api';
import { RuntimeError } from '../error.ts';
import { joinBaggage, tokenInBaggage } from './baggage.ts';
import { checkToken } from './signed-path.ts';

/**
 * The key in MCP's `_meta`. Model Context Protocol, "_meta" under "General fields": a prefix in reverse DNS notation and a slash,
 * whose second label is neither `modelcontextprotocol` nor `mcp`. `io.github.<account>` is what owning an account on GitHub gives.
 */
export const pathMetaKey = 'io.github.offswitch/path';
/** The environment variable. */
export const pathVariable = 'OFFSWITCH_PATH';

/** One token in each of the places: use the one that fits what is called. */
export interface Carrier {
  /** `baggage` and, where there is a trace, `traceparent`. */
  readonly headers: Readonly<Record<string, string>>;
  /** For `params._meta` of an MCP request. `traceparent` stands there without a prefix, as the protocol has it since 2026-07-28 (SEP-414). */
  readonly meta: Readonly<Record<string, unknown>>;
  /** To be added to the environment of a process. */
  readonly env: Readonly<Record<string, string>>;
}

export interface CarrierOptions {
  /** W3C Trace Context to pass on. Default: that of OpenTelemetry's active span, where there is one. Left out where it is not well-formed. */
  readonly traceparent?: string;
  /** A `baggage` header to go along. Its own path, if it has one, is left out. */
  readonly baggage?: string;
}

/** W3C Trace Context, section 3.2.2, version 00; neither id is all zeros. */
const traceparentForm = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Throws `path_malformed` and `path_too_long` for a token that is none, `path_too_long` where `baggage` leaves no room. */
export function carrierOf(token: string, options: CarrierOptions = {}): Carrier {
  checkToken(token);
  const traceparent = options.traceparent ?? activeTraceparent();
  const trace = traceparent !== undefined && traceparentForm.test(traceparent) ? { traceparent } : {};
  return {
    headers: { ...trace, baggage: joinBaggage(token, options.baggage) },
    meta: { ...trace, [pathMetaKey]: token },
    env: { [pathVariable]: token },
  };
}

function activeTraceparent(): string | undefined {
  try {
    const span = trace.getSpanContext(context.active());
    if (!span) return undefined;
    return `00-${span.traceId}-${span.spanId}-${(span.traceFlags & 0xff).toString(16).padStart(2, '0')}`;
  } catch {
    // Telemetry is outside the decision (I13): a path goes without a trace.
    return undefined;
  }
}

/**
 * The token that came along, unverified. Takes what it came in: `Headers`, a `Request` or an `IncomingMessage`, plain headers, a `Map` of them or a list of pairs, a `Carrier`, an MCP
 * request or its `params`, `_meta` itself, `process.env`. In one object our own key goes before `baggage`, which others pass on
 * unasked. `undefined` where there is none; throws `path_malformed` or `path_too_long` where there is anything else, and `path_malformed`
 * for two that differ.
 */
export function tokenIn(carrier: object | undefined): string | undefined {
  if (carrier === undefined) return undefined;
  const found = new Set<string>();
  for (const token of tokensIn(carrier)) {
    checkToken(token);
    found.add(token);
  }
  if (found.size > 1) throw new RuntimeError('path_malformed', `${found.size} different paths came along`);
  return found.values().next().value;
}

function* tokensIn(carrier: object): Generator<unknown> {
  yield* tokensOf(carrier);
  for (const place of ['headers', 'env', '_meta', 'meta', 'params']) {
    const within = memberOf(plainOf(carrier), place);
    if (typeof within !== 'object' || within === null) continue;
    if (place !== 'params') yield* tokensOf(within);
    else {
      const meta = memberOf(plainOf(within), '_meta');
      if (typeof meta === 'object' && meta !== null) yield* tokensOf(meta);
    }
  }
}

/** A `Map` by its names, which are in the case that somebody gave them; all else as it is. */
function plainOf(holder: object): object {
  return isMap(holder) ? Object.fromEntries([...holder].filter(([name]) => typeof name === 'string')) : holder;
}

/** What one object holds itself. */
function* tokensOf(given: object): Generator<unknown> {
  const holder = plainOf(given);
  if (isHeaders(holder)) {
    const line: unknown = holder.get('baggage') ?? '';
    if (typeof line !== 'string') throw new RuntimeError('path_malformed', 'baggage is no text');
    const token = tokenInBaggage(line);
    if (token !== undefined) yield token;
    return;
  }
  for (const key of [pathMetaKey, pathVariable]) {
    const value = memberOf(holder, key);
    if (value === undefined) continue;
    yield value;
    return;
  }
  // Plain headers may be spelt in any case, and be lists (RFC 9110, sections 5.1 and 5.3), as an object or as pairs.
  const pairs = Array.isArray(holder) ? pairsOf(holder) : Object.keys(holder).map((name) => [name] as const);
  const lines = pairs
    .filter(([name]) => typeof name === 'string' && name.toLowerCase() === 'baggage')
    .flatMap((pair): unknown => (pair.length > 1 ? pair[1] : memberOf(holder, String(pair[0]))))
    .filter((line) => line !== undefined);
  if (!lines.every((line) => typeof line === 'string')) throw new RuntimeError('path_malformed', 'baggage is no text');
  const token = tokenInBaggage(lines.join(','));
  if (token !== undefined) yield token;
}

/** A list of pairs, as `fetch` takes it, or name after value, as Node has raw headers. */
function pairsOf(holder: readonly unknown[]): (readonly unknown[])[] {
  if (!holder.every((one) => typeof one === 'string')) return holder.filter((one) => Array.isArray(one));
  return holder.flatMap((name, i) => (i % 2 === 0 ? [[name, holder[i + 1]]] : []));
}

function memberOf(holder: object, name: string): unknown {
  return (holder as Readonly<Record<string, unknown>>)[name];
}

/** Also another library's `Headers`, which is no instance of the global one. */
function isHeaders(holder: object): holder is Headers {
  const { get, has, forEach } = holder as Partial<Headers>;
  return typeof get === 'function' && typeof has === 'function' && typeof forEach === 'function';
}
