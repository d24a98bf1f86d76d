// carry-fetch.ts: a `fetch` that carries the path to those who may see it, and to nobody else: not by a redirect either, which the
// built-in one would follow with our headers still on.

import { foreignBaggage, joinBaggage, withoutActivePath } from './baggage.ts';
import { type Carrier, tokenIn } from './carrier.ts';

export interface CarryingFetchOptions {
  /** Which addresses may see the path: your own agents. Required, because a path is a capability and names users. */
  readonly to: (url: URL) => boolean;
  /**
   * Node's `fetch` gives up after 300 s without an answer (undici, `headersTimeout`), and a sub-agent may rest for days. With this the same is asked
   * again then, for as long as it takes; not where the body is a stream or made by a generator. Only for addresses where asking twice begins nothing twice: a call that
   * carries its path to `runtime.accept` and `run` finds the child that it has. Default false.
   */
  readonly asksAgain?: boolean;
  /** Default `globalThis.fetch`, looked up at each call. */
  readonly fetch?: typeof globalThis.fetch;
}

/** As `fetch` itself (Fetch standard, section 4.4, HTTP-redirect fetch). */
const maxRedirects = 20;
const redirects = new Set([301, 302, 303, 307, 308]);

/**
 * A `fetch` that asks `carry` before each request to where `to` allows, and adds its headers; the caller's own headers, `traceparent` and baggage
 * stay. Where `carry` rejects, nothing is sent. Elsewhere, and from the first redirect to elsewhere on, no path goes along, not even one that
 * the caller passed on. A redirect that would have to send a stream again rejects with a TypeError, as in `fetch`.
 */
export function carryingFetch(carry: () => Promise<Carrier>, options: CarryingFetchOptions): typeof globalThis.fetch {
  const asked = carriedOnce(carry, options);
  return async (input, init) => {
    const isStream = isStreamed(input, init);
    for (;;) {
      try {
        return await asked(input, init);
      } catch (error) {
        if (!options.asksAgain || isStream || !isUnanswered(error)) throw error;
      }
    }
  };
}

function isStreamed(input: Parameters<typeof fetch>[0], init: RequestInit | undefined): boolean {
  const body = init?.body ?? null;
  if (body === null) return input instanceof Request && input.body !== null;
  // A ReadableStream, or what a generator makes: Node takes either.
  return typeof body === 'object' && Symbol.asyncIterator in body;
}

/** `fetch` has waited for as long as it does, and the other side is still at it, as far as anybody knows. */
function isUnanswered(error: unknown): boolean {
  const { cause } = error as { readonly cause?: { readonly code?: unknown } };
  return error instanceof TypeError && cause?.code === 'UND_ERR_HEADERS_TIMEOUT';
}

function carriedOnce(carry: () => Promise<Carrier>, options: CarryingFetchOptions): typeof globalThis.fetch {
  return async (input, init) => {
    const fetch = options.fetch ?? globalThis.fetch;
    const request = input instanceof Request ? input : undefined;
    let url = new URL(request ? request.url : String(input));
    const headers = new Headers(init?.headers ?? request?.headers);
    if (!options.to(url)) return withoutActivePath(() => fetch(input, { ...init, headers: withoutPath(headers) }));

    const carrier = await carry();
    const redirect = init?.redirect ?? request?.redirect ?? 'follow';
    const isFollowed = redirect === 'follow';
    let method = (init?.method ?? request?.method ?? 'GET').toUpperCase();
    let body = init?.body ?? null;
    const isStream = isStreamed(input, init);
    const signal = init?.signal ?? request?.signal ?? null;
    let mayCarry = true;
    let response = await withoutActivePath(() =>
      fetch(input, { ...init, headers: withPath(headers, carrier), redirect: isFollowed ? 'manual' : redirect }),
    );
    for (let hop = 0; isFollowed && redirects.has(response.status); hop++) {
      const location = response.headers.get('location');
      if (location === null) break;
      const next = new URL(location, url);
      if (hop === maxRedirects) throw new TypeError(`${url.origin} redirects more than ${maxRedirects} times`);
      if (next.protocol !== 'http:' && next.protocol !== 'https:')
        throw new TypeError(`${url.origin} redirects to ${next.protocol}`);
      const status = response.status;
      await response.body?.cancel();
      if (status === 303 ? method !== 'GET' && method !== 'HEAD' : status <= 302 && method === 'POST') {
        method = 'GET';
        body = null;
        for (const name of ['content-encoding', 'content-language', 'content-length', 'content-location', 'content-type'])
          headers.delete(name);
      } else if (isStream && method !== 'GET' && method !== 'HEAD') {
        throw new TypeError(`${url.origin} redirects a request whose body is a stream, which cannot be sent again`);
      }
      if (next.origin !== url.origin)
        for (const name of ['authorization', 'proxy-authorization', 'cookie', 'host']) headers.delete(name);
      // Once out of our hands, whoever answered chooses the address: it is not carried again, back to us neither.
      mayCarry &&= options.to(next);
      url = next;
      const sent = mayCarry ? withPath(headers, carrier) : withoutPath(headers);
      response = await withoutActivePath(() => fetch(next, { ...init, method, body, headers: sent, signal, redirect: 'manual' }));
    }
    return response;
  };
}

function withPath(own: Headers, carrier: Carrier): Headers {
  const headers = new Headers(own);
  for (const [name, value] of Object.entries(carrier.headers)) if (!headers.has(name)) headers.set(name, value);
  const token = tokenIn(carrier.headers);
  if (token !== undefined) headers.set('baggage', joinBaggage(token, carrier.headers.baggage, own.get('baggage')));
  return headers;
}

function withoutPath(own: Headers): Headers {
  const headers = new Headers(own);
  const baggage = headers.get('baggage');
  const foreign = baggage === null ? undefined : foreignBaggage(baggage);
  if (foreign !== undefined) headers.set('baggage', foreign);
  else headers.delete('baggage');
  return headers;
}
