// link.ts: one connection to Redis, as this package needs it: commands as they go over the wire, a bound on every answer, and no
// second life. Who wants another connection opens another link.
//
// The client library stays behind this file. Its own reconnecting and queueing are off: a command that was sent twice, or
// waited for a connection, would be news from another time.

import { createClient, ErrorReply } from 'redis';

export type Reply = string | number | null | readonly Reply[];

/** What is used of a node-redis client, version 5 or 6. */
export interface RedisClientLike {
  duplicate(overrides?: Readonly<Record<string, unknown>>): unknown;
}

interface OpenClient {
  connect(): Promise<unknown>;
  destroy(): void;
  ref(): void;
  unref(): void;
  sendCommand(argv: readonly string[]): Promise<unknown>;
  on(event: 'error' | 'end', listener: (error?: unknown) => void): unknown;
  readonly isOpen: boolean;
}

export interface Link {
  /** Rejects with `ServerRefusal` where the server answered with an error, else with what was lost; then the link is gone. */
  call(argv: readonly string[], timeoutMs: number): Promise<Reply>;
  readonly isGone: boolean;
  destroy(why?: string): void;
}

export interface LinkOptions {
  readonly connectTimeoutMs: number;
  /** An unanswered command keeps the process running. Not so for a reader that waits for news. */
  readonly keepsAlive: boolean;
  /** Called once, unless it was destroyed from here. */
  readonly onGone?: (why: Error) => void;
}

export type OpenLink = (options: LinkOptions) => Promise<Link>;

/** The server answered, and said no. `code`: the first word it said (`WRONGTYPE`, `OOM`, one of our own). */
export class ServerRefusal extends Error {
  override readonly name = 'ServerRefusal';
  readonly code: string;
  constructor(message: string) {
    super(message);
    this.code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
  }
}

export interface RedisPlace {
  readonly url?: string;
  readonly client?: RedisClientLike;
}

/** Of one server among several. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** How to open links to the place that was configured, or to another server with the same credentials. */
export function linksTo(place: RedisPlace, other?: Address): OpenLink {
  return async (options) => {
    const overrides = {
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      // Every answer is bounded below; a bound of the library's own would cost an AbortSignal each.
      commandOptions: { timeout: 0 },
      name: 'offswitch',
    } as const;
    const socket = { reconnectStrategy: false, connectTimeout: options.connectTimeoutMs, keepAlive: true } as const;
    let client: OpenClient;
    if (place.client) {
      const own = (place.client as { readonly options?: { readonly socket?: object } }).options?.socket;
      const there = other ? { url: undefined } : {};
      client = place.client.duplicate({ ...overrides, ...there, socket: { ...own, ...socket, ...other } }) as OpenClient;
    } else {
      const url = other ? urlAt(place.url!, other) : place.url!;
      client = createClient({ url, socket, ...overrides }) as unknown as OpenClient;
    }
    return open(client, options);
  };
}

function urlAt(url: string, { host, port }: Address): string {
  const there = new URL(url);
  there.hostname = host.includes(':') ? `[${host}]` : host;
  there.port = String(port);
  return there.href;
}

/** Another server has the keys now, or this one may not write them any more: a new link finds the one that may. */
const elsewhere = /^(MOVED|ASK|READONLY|MASTERDOWN|CLUSTERDOWN) /;

interface Waiting {
  readonly timeoutMs: number;
  readonly dueAt: number;
  readonly reject: (error: Error) => void;
}

async function open(client: OpenClient, { keepsAlive, onGone, connectTimeoutMs }: LinkOptions): Promise<Link> {
  const waiting = new Set<Waiting>();
  // Answers come in order, so the first that waits is the one whose silence says that nothing comes any more.
  let first: Waiting | undefined;
  // One walk over all of them: each new look for the first would pass all those again that have their answer.
  let inOrder = waiting.values();
  let heardAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let wakesAt = Number.POSITIVE_INFINITY;
  let goneWhy: Error | undefined;

  const end = (why: Error, isTold: boolean): void => {
    if (goneWhy) return;
    goneWhy = why;
    clearTimeout(timer);
    if (client.isOpen) client.destroy();
    for (const one of waiting) one.reject(why);
    waiting.clear();
    if (isTold) onGone?.(why);
  };
  const next = (): void => {
    first = inOrder.next().value;
    if (!first) inOrder = waiting.values();
  };
  /** Those before it may have taken all of its time, and been answered: then nothing was silent. */
  const dueAt = (one: Waiting): number => Math.max(one.dueAt, heardAt + one.timeoutMs);
  /** Wakes when the first is due, or before: then it looks again. */
  const watch = (): void => {
    if (!first || goneWhy || dueAt(first) >= wakesAt) return;
    clearTimeout(timer);
    wakesAt = dueAt(first);
    timer = setTimeout(look, wakesAt - performance.now());
    timer.unref();
  };
  const look = (): void => {
    wakesAt = Number.POSITIVE_INFINITY;
    if (first && dueAt(first) <= performance.now()) end(new Error('no answer in time'), true);
    else watch();
  };
  client.on('error', (error) => end(error instanceof Error ? error : new Error(String(error)), true));
  client.on('end', () => end(new Error('the connection ended'), true));
  await connected(client, connectTimeoutMs);
  // Gone before anybody could hear of it.
  if (goneWhy) throw goneWhy;
  client.unref();

  return {
    get isGone() {
      return goneWhy !== undefined;
    },
    destroy: (why = 'the connection was closed') => end(new Error(why), false),
    call: (argv, timeoutMs) =>
      new Promise((resolve, reject) => {
        if (goneWhy) return reject(goneWhy);
        const one: Waiting = { timeoutMs, dueAt: performance.now() + timeoutMs, reject };
        if (waiting.size === 0 && keepsAlive) client.ref();
        waiting.add(one);
        if (!first) next();
        watch();
        const settled = (): void => {
          heardAt = performance.now();
          waiting.delete(one);
          if (one === first) next();
          watch();
          if (waiting.size === 0 && keepsAlive && !goneWhy) client.unref();
        };
        client.sendCommand(argv).then(
          (reply) => {
            settled();
            resolve(reply as Reply);
          },
          (error: unknown) => {
            settled();
            if (error instanceof ErrorReply && elsewhere.test(error.message)) end(new Error(error.message), true);
            if (goneWhy) reject(goneWhy);
            else if (error instanceof ErrorReply) reject(new ServerRefusal(error.message));
            else reject(error);
          },
        );
      }),
  };
}

/** The library bounds the connection alone, not what is said on it before it is ready. */
async function connected(client: OpenClient, withinMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no connection in time')), withinMs);
  });
  const connecting = client.connect();
  try {
    await Promise.race([connecting, late]);
  } catch (error) {
    connecting.catch(() => {});
    if (client.isOpen) client.destroy();
    throw error instanceof ErrorReply ? new ServerRefusal(error.message) : error;
  } finally {
    clearTimeout(timer);
  }
}
