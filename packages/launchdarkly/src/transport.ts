// transport.ts: the way from LaunchDarkly to the SDK's evaluator: a stream for speed, a poll for certainty, and what they agree on.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Custody } from './custody.ts';
import type { Freshness } from './freshness.ts';
import { type Item, type Message, type Namespace, parseEverything, parseMessage } from './payload.ts';
import { openPoll } from './poll.ts';
import { openStream } from './stream.ts';

export interface TransportOptions {
  readonly sdkKey: string;
  readonly baseUri: string;
  readonly streamUri: string;
  readonly agent?: HttpAgent | HttpsAgent;
  readonly staleAfterMs: number;
  readonly pollMs: number;
  readonly freshness: Freshness;
  readonly custody: Custody;
  /** Something accepted, on to the SDK; `keys` are the flags that may read differently, undefined: any. */
  feed(event: 'put' | 'patch' | 'delete', data: string, keys: readonly string[] | undefined): void;
}

export interface Transport {
  /** Resolves when an answer that was asked for after this call is in. Never rejects. */
  refresh(): Promise<void>;
  /** Nothing confirmed the data in time: a stream that is open and silent is as good as gone. */
  ranOut(): void;
  close(): void;
}

/** LaunchDarkly says a comment comes at least every 5 minutes; a stream without one is dead, whatever the poll says. */
const deadAfterMs = 310_000;
/** A stream that a poll contradicts is begun anew, but not over and over. */
const restartAtMostEveryMs = 60_000;

const emptySet = 'LaunchDarkly answers with no flag at all; look at the environment this SDK key belongs to';

export function openTransport(options: TransportOptions): Transport {
  const { freshness, custody, staleAfterMs } = options;
  const headers = { authorization: options.sdkKey, 'user-agent': 'offswitch-launchdarkly' };
  const ownAgents: (HttpAgent | HttpsAgent)[] = [];
  const agentFor = (uri: string): HttpAgent | HttpsAgent => {
    if (options.agent) return options.agent;
    const made = uri.startsWith('https:') ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    ownAgents.push(made);
    return made;
  };
  /** The stream there is has said what it holds, and that was accepted. */
  let streamHasPut = false;
  /** What a poll brought and the stream still owes. */
  let owed = new Map<string, number>();
  let missingBefore = 0;
  let restartedAt = Number.NEGATIVE_INFINITY;
  let lastAll: ReturnType<typeof parseEverything> | undefined;

  const replace = (all: ReturnType<typeof parseEverything>, data: string): void => {
    const keys = custody.replace(all);
    owed = new Map();
    options.feed('put', data, keys);
    freshness.problem(custody.isEmpty ? emptySet : undefined);
  };
  const put = (all: ReturnType<typeof parseEverything>, data: string): boolean => {
    const { older } = custody.compare(all);
    if (older > 0) {
      const flags = older === 1 ? 'a flag' : `${older} flags`;
      freshness.problem(`LaunchDarkly answers with ${flags} older than what was read before; what was read before is kept`);
      return false;
    }
    replace(all, data);
    streamHasPut = true;
    return true;
  };
  const paid = (namespace: Namespace, key: string, version: number): void => {
    const id = `${namespace}/${key}`;
    if ((owed.get(id) ?? Number.POSITIVE_INFINITY) <= version) owed.delete(id);
  };
  const take = (namespace: Namespace, item: Item): boolean => {
    if (!custody.put(namespace, item)) return false;
    const data = JSON.stringify({ path: `/${namespace}/${item.key}`, data: item });
    options.feed('patch', data, namespace === 'flags' ? [item.key] : undefined);
    return true;
  };

  const stream = openStream({
    url: `${options.streamUri}/all`,
    headers: { ...headers, accept: 'text/event-stream' },
    agent: agentFor(options.streamUri),
    firstWaitMs: Math.min(500, staleAfterMs / 4),
    longestWaitMs: Math.min(5000, staleAfterMs),
    answerWithinMs: staleAfterMs,
    message(event, data) {
      let message: Message;
      try {
        message = parseMessage(event, data);
      } catch (error) {
        freshness.problem(`LaunchDarkly sent what cannot be read: ${words(error)}`);
        return false;
      }
      switch (message.event) {
        case 'put':
          return put(message.all, data);
        case 'patch':
          paid(message.namespace, message.item.key, message.item.version);
          take(message.namespace, message.item);
          return true;
        case 'delete': {
          const { namespace, key, version } = message;
          paid(namespace, key, version);
          if (custody.remove(namespace, key, version)) options.feed('delete', data, namespace === 'flags' ? [key] : undefined);
          return true;
        }
        case 'other':
          return true;
      }
    },
    alive() {
      if (streamHasPut && owed.size === 0) freshness.confirm(performance.now());
    },
    trouble(why) {
      streamHasPut = false;
      freshness.trouble(why);
    },
  });
  const restart = (): void => {
    streamHasPut = false;
    stream.restart();
  };
  const contradicted = (): void => {
    if (performance.now() - restartedAt < restartAtMostEveryMs) return;
    restartedAt = performance.now();
    restart();
  };

  const poll = openPoll({
    url: `${options.baseUri}/sdk/latest-all`,
    headers,
    agent: agentFor(options.baseUri),
    everyMs: options.pollMs,
    answerWithinMs: staleAfterMs,
    trouble: (why) => freshness.trouble(why),
    answered(body, askedAt) {
      try {
        if (body !== undefined) lastAll = parseEverything(JSON.parse(body));
      } catch (error) {
        lastAll = undefined;
        freshness.trouble(`the poll brought what cannot be read: ${words(error)}`);
        return false;
      }
      if (!lastAll) return false;
      const all = lastAll;
      if (stream.isOpen && performance.now() - stream.lastByteAt > deadAfterMs) restart();
      // What the stream should have brought since the last poll, and did not.
      else if (streamHasPut && owed.size > 0) contradicted();
      const { newer, older, missing } = custody.compare(all);
      if (older > 0) {
        freshness.trouble('the poll is behind what was read before');
        return true;
      }
      if (!streamHasPut) {
        if (!custody.hasData || missing.length > 0) replace(all, JSON.stringify({ path: '/', data: plain(all) }));
        else for (const [namespace, item] of newer) take(namespace, item);
      } else {
        for (const [namespace, item] of newer) if (take(namespace, item)) owed.set(`${namespace}/${item.key}`, item.version);
        missingBefore = missing.length === 0 ? 0 : missingBefore + 1;
        if (missingBefore > 1) contradicted();
        if (missing.length > 0) return true;
      }
      freshness.problem(custody.isEmpty ? emptySet : undefined);
      freshness.confirm(askedAt);
      return true;
    },
  });

  return {
    async refresh() {
      // What is being asked already may be answered with what was so before this call.
      const wasAsking = poll.isAsking;
      await poll.now();
      if (wasAsking) await poll.now();
    },
    ranOut() {
      if (stream.isOpen && performance.now() - stream.lastByteAt > staleAfterMs) restart();
    },
    close() {
      stream.close();
      poll.close();
      for (const one of ownAgents) one.destroy();
    },
  };
}

function plain(all: ReturnType<typeof parseEverything>): object {
  return { flags: Object.fromEntries(all.flags), segments: Object.fromEntries(all.segments) };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
