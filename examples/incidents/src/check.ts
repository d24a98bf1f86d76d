// check.ts: what the twelve programs share: lines that say what holds, a folder that is gone afterwards, and a tool server that
// counts what really reaches the world. No agent can reach it but through a call.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome, Receipt, Runtime } from 'offswitch';

/** Bound of each wait, and of a whole program. Milliseconds. */
const withinMs = 15_000;
const allWithinMs = 40_000;

/** One call that has reached the server. */
export interface Arrival {
  /** Epoch milliseconds. */
  readonly at: number;
  /** The session that made it. */
  readonly who: string;
  readonly tool: string;
  readonly args: unknown;
  answeredAt?: number;
}

export interface ToolServer {
  readonly url: string;
  /** In the order of arrival. */
  readonly calls: readonly Arrival[];
  /** What a call is answered with, and when. Default: at once, with nothing. */
  answer: (call: Arrival) => unknown;
  /** Makes a call, as an agent's tool does. */
  call(tool: string, who: string, args?: unknown, signal?: AbortSignal): Promise<unknown>;
  of(...who: readonly string[]): readonly Arrival[];
  /** Resolves when so many more such calls have arrived. This, and not a pause, is how time passes here. */
  more(count: number, what: string, matches: (call: Arrival) => boolean): Promise<void>;
}

export interface Scene {
  /** The working folder of the program. */
  readonly folder: string;
  readonly tools: ToolServer;
  ok(what: string, isTrue: boolean, found?: unknown): void;
  /** Closed in the opposite order, whatever happens. */
  closeAfter(close: () => unknown): void;
}

/** Runs the program, prints a line for each thing that holds, and sets the exit code: 0 when all of them do. */
export async function incident(body: (scene: Scene) => Promise<void>): Promise<void> {
  let passed = 0;
  let failed = 0;
  const ok = (what: string, isTrue: boolean, found?: unknown): void => {
    if (isTrue) passed++;
    else failed++;
    console.log(`${isTrue ? 'ok' : 'not ok'} - ${what}`);
    if (!isTrue && found !== undefined) console.log(`    found: ${JSON.stringify(found)}`.slice(0, 2_000));
  };
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), 'offswitch-incident-'));
  process.chdir(folder);
  const tooLong = setTimeout(() => {
    console.log(`not ok - ends within ${allWithinMs} ms`);
    rmSync(folder, { recursive: true, force: true });
    process.exit(1);
  }, allWithinMs);
  const closing: (() => unknown)[] = [];
  try {
    const tools = await openToolServer((close) => closing.push(close));
    await body({ folder, tools, ok, closeAfter: (close) => closing.push(close) });
  } catch (error) {
    ok('runs to its end', false, error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    for (const close of closing.reverse()) await close();
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
    clearTimeout(tooLong);
  }
  console.log(`${passed} held, ${failed} did not`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

/** Makes a call to the tool server, from this process or another. */
export async function callTool(url: string, tool: string, who: string, args?: unknown, signal?: AbortSignal): Promise<unknown> {
  const body = JSON.stringify({ who, args });
  const response = await fetch(`${url}/${tool}`, { method: 'POST', body, ...(signal ? { signal } : {}) });
  return (await response.json()) as unknown;
}

async function openToolServer(closeAfter: (close: () => unknown) => void): Promise<ToolServer> {
  const calls: Arrival[] = [];
  const waiting = new Set<() => void>();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    const { who, args } = JSON.parse(text) as { who: string; args: unknown };
    const arrival: Arrival = { at: Date.now(), who, tool: (request.url ?? '/').slice(1), args };
    calls.push(arrival);
    for (const look of [...waiting]) look();
    const answer = (await tools.answer(arrival)) ?? null;
    arrival.answeredAt = Date.now();
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closeAfter(
    () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tools: ToolServer = {
    url,
    calls,
    answer: () => undefined,
    call: (tool, who, args, signal) => callTool(url, tool, who, args, signal),
    of: (...who) => calls.filter((call) => who.includes(call.who)),
    more(count, what, matches) {
      const from = calls.length;
      return new Promise((resolve, reject) => {
        const end = (settle: () => void): void => {
          clearTimeout(timer);
          waiting.delete(look);
          settle();
        };
        const look = (): void => {
          if (calls.slice(from).filter(matches).length >= count) end(resolve);
        };
        const timer = setTimeout(() => end(() => reject(new Error(`not within ${withinMs} ms: ${what}`))), withinMs);
        waiting.add(look);
      });
    },
  };
  return tools;
}

/** Looks again and again until it is so. For what tells nobody. */
export async function until<T>(what: string, look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (const deadline = Date.now() + withinMs; ; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits for something that must come, and no longer. */
export async function within<T>(what: string, comes: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${withinMs} ms: ${what}`)), withinMs);
  });
  try {
    return await Promise.race([comes, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The receipt of the stop that ended this run. */
export async function receiptOf(runtime: Runtime, outcome: Outcome): Promise<Receipt | undefined> {
  if (outcome.status !== 'terminated') return undefined;
  return (await runtime.receipts()).find(({ stop }) => stop.id === outcome.receipt);
}

/** A promise and what settles it. */
export function signalOf(): { readonly given: Promise<void>; give(): void } {
  let give!: () => void;
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}
