// asking.ts: requests from one process to others: the command line's, and a process's own. A request goes into the inbox of each
// process that answers, its answer into a list that expires.

import { type ControlAnswer, type ControlHandler, type ControlRequestOptions, mintId } from '@offswitch/runtime';
import { linksToOwner } from './connection/cluster.ts';
import type { Link, OpenLink } from './connection/link.ts';
import { textOf, Wire } from './connection/wire.ts';
import type { Fields } from './hearing.ts';
import { type RedisStoreOptions, settingsOf } from './options.ts';
import { placeOf } from './place.ts';
import { parsed } from './unreadable.ts';

/** Longest answer sent, UTF-16 units: receipts of a graph of 100,000 sessions. */
const maxAnswerLength = 67_108_864;

export interface Question {
  readonly wire: Wire;
  readonly open: OpenLink;
  readonly prefix: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly options: ControlRequestOptions;
}

/** Never rejects for what a process did or failed to do; rejects with `store_failed` where Redis cannot be asked. */
export async function ask({ wire, open, prefix, method, params, options }: Question): Promise<readonly ControlAnswer[]> {
  const { timeoutMs = 5000, except = '', process: only = '' } = options;
  const reply = mintId('q');
  const asked = (await wire.fn('ask', [except, only, method, JSON.stringify(params), reply, reply])) as readonly (readonly [
    string,
    string,
  ])[];
  const waiting = new Map(asked.map(([process, info]) => [process, pidOf(info)]));
  const answers: ControlAnswer[] = [];
  if (waiting.size === 0) return answers;
  const key = `${prefix}:{ctl}:re:${reply}`;
  const endsAt = performance.now() + timeoutMs;
  let link: Link | undefined;
  try {
    link = await open({ connectTimeoutMs: timeoutMs, keepsAlive: true });
    while (waiting.size > 0) {
      const leftMs = endsAt - performance.now();
      if (leftMs <= 0) break;
      const found = (await link.call(['BLPOP', key, String(Math.max(0.01, leftMs / 1000))], leftMs + 1000)) as
        | readonly [string, string]
        | null;
      if (found === null) break;
      const said = parsed<ControlAnswer>(found[1], ({ process }) => typeof process === 'string');
      if (!said || !waiting.delete(said.process)) continue;
      answers.push(said);
    }
    for (const [process, pid] of waiting) answers.push(silent(process, pid, 'timeout', `did not answer within ${timeoutMs} ms`));
  } catch (error) {
    for (const [process, pid] of waiting) answers.push(silent(process, pid, 'unreachable', textOf(error)));
  } finally {
    link?.destroy();
  }
  return answers;
}

function silent(process: string, pid: number, code: string, why: string): ControlAnswer {
  return { process, pid, error: { code, message: `process ${process} (pid ${pid}): ${why}` } };
}

function pidOf(info: string): number {
  return parsed<{ readonly pid: number }>(info, ({ pid }) => typeof pid === 'number')?.pid ?? 0;
}

/** More than an inbox holds. */
const mostAsked = 20_000;

/** Requests that were heard: an inbox is read again when the server was restarted. */
export class Asked {
  private readonly ids = new Set<string>();

  /** Whether it was not heard before. */
  isNew(id: string): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    if (this.ids.size > mostAsked) this.ids.delete(this.ids.values().next().value!);
    return true;
  }
}

/** Answers one request out of the inbox. Never rejects. */
export async function answerTo(
  wire: Wire,
  fields: Fields,
  handler: ControlHandler,
  self: { readonly process: string; readonly pid: number },
): Promise<void> {
  const reply = fields.get('r') ?? '';
  const say = (said: object): Promise<unknown> => {
    const text = JSON.stringify({ ...self, ...said });
    if (text.length > maxAnswerLength) throw new Error(`the answer is longer than ${maxAnswerLength}`);
    return wire.fn('answer', [reply, text], 10_000);
  };
  try {
    await say({ result: (await handler(fields.get('m') ?? '', JSON.parse(fields.get('d') ?? '{}'))) ?? null });
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
    // Whoever asked has a bound of its own.
    await say({ error: { code, message: error instanceof Error ? error.message : String(error) } }).catch(() => {});
  }
}

/**
 * Asks every running process of a store in Redis, as the command line does over a state folder, and returns what each said; none
 * runs: none. Rejects with `store_failed` where Redis cannot be reached.
 */
export async function requestRedisControl(
  place: Pick<RedisStoreOptions, 'url' | 'client' | 'prefix'>,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  options: ControlRequestOptions = {},
): Promise<readonly ControlAnswer[]> {
  const { prefix, timeoutMs } = settingsOf(place);
  const where = placeOf(place, prefix);
  const open = linksToOwner(place, prefix);
  const wire = new Wire({ open, timeoutMs, prefix, where });
  try {
    return await ask({ wire, open, prefix, method, params, options });
  } finally {
    wire.close();
  }
}
