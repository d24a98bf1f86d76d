// accept-request.ts: the door of a process that continues other processes' graphs, for anything that speaks Request and Response.

import { failedUnder } from '../arrival.ts';
import { RuntimeError, type RuntimeErrorCode } from '../error.ts';
import { withoutActivePath } from './baggage.ts';

/** Answers with a body that says as much as the caller can act on, and nothing of keys, sessions or the store. */
const refusals = {
  path_missing: [401, 'Unauthorized', 'The request carries no path. Send the baggage that the calling session carries.'],
  path_malformed: [401, 'Unauthorized', 'The request carries something that is no path.'],
  path_too_long: [401, 'Unauthorized', 'The path is deeper or longer than is accepted.'],
  path_forged: [401, 'Unauthorized', 'The path is not signed by a key that is accepted here.'],
  path_expired: [401, 'Unauthorized', 'The path was sealed for a time that is past. Carry it anew.'],
  root_unknown: [401, 'Unauthorized', 'The path belongs to a graph that is not known here.'],
  root_settled: [410, 'Gone', 'The graph that the path belongs to has ended. Nothing starts in it any more.'],
  session_elsewhere: [
    409,
    'Conflict',
    'What this call started before is run by another instance. Ask that one, or here once it is gone.',
  ],
  store_failed: [503, 'Service Unavailable', 'This service cannot reach what it keeps its sessions in. Ask again.'],
  closed: [503, 'Service Unavailable', 'This instance is closing. Ask another one.'],
  path_keys_missing: [503, 'Service Unavailable', 'This service has not been set up to accept paths.'],
} as const satisfies Partial<Record<RuntimeErrorCode, readonly [status: number, title: string, detail: string]>>;

export interface AcceptRequestOptions {
  /** Told of each refusal, with the cause that the answer does not give. What it throws is swallowed: the request stays refused. */
  readonly onRefused?: (error: RuntimeError, request: Request) => void;
}

/**
 * A handler that first accepts the path of the request. `accept` gets the headers, whatever is in them (`runtime.accept`, `gate.accept`, which record
 * what they refuse), and `handler` what it answered. Refused with `application/problem+json` (RFC 9457; the error's code under `code`): 401 for a path
 * that is missing or no good, 410 where its graph has ended, 409 where another instance has what its call started, 503 without keys or a store and
 * while closing. So is what `agent.run` or `gate.decide` throws in `handler` for the arrival of this request, passed as `parent`. Anything else that
 * `accept` or `handler` throws is theirs, and rejects.
 */
export function acceptRequest<A>(
  accept: (headers: Headers) => Promise<A>,
  handler: (request: Request, arrival: A) => Promise<Response>,
  options: AcceptRequestOptions = {},
): (request: Request) => Promise<Response> {
  const answered = (error: unknown, request: Request): Response => {
    if (!RuntimeError.is(error) || !isRefusal(error.code)) throw error;
    try {
      options.onRefused?.(error, request);
    } catch {
      // Whoever listens is outside the decision.
    }
    return refuse(error.code);
  };
  return async (request) => {
    let arrival: A;
    try {
      arrival = await accept(request.headers);
    } catch (error) {
      return answered(error, request);
    }
    try {
      return await withoutActivePath(() => handler(request, arrival));
    } catch (error) {
      if (!RuntimeError.is(error) || !failedUnder(arrival, error)) throw error;
      return answered(error, request);
    }
  };
}

type Refusal = keyof typeof refusals;

function isRefusal(code: RuntimeErrorCode): code is Refusal {
  return Object.hasOwn(refusals, code);
}

function refuse(code: Refusal): Response {
  const [status, title, detail] = refusals[code];
  return new Response(JSON.stringify({ type: 'about:blank', title, status, detail, code }), {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      // RFC 9110, section 11.6.1: a 401 names a scheme.
      ...(status === 401 ? { 'www-authenticate': `Offswitch error="${code}"` } : {}),
    },
  });
}
