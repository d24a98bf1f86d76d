// redis-place.ts: the same for an application whose state is in Redis: `--state redis://...`. What the folder has on disk, Redis has in
// keys; what the folder reaches by sockets, Redis reaches by the processes' inboxes.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { KillSwitches } from '@offswitch/core';
import {
  Auditor,
  type ControlAnswer,
  type ControlRequestOptions,
  type Journals,
  type RegisteredSession,
  resolvedFact,
  type StateStore,
} from '@offswitch/runtime';
import { CommandError, exit, failureOf } from './failure.ts';
import { folderPlace, type Place, processesUnknown } from './place.ts';
import { clean } from './print.ts';

interface RedisAddress {
  readonly url: string;
  readonly prefix?: string;
}

/** What is used of `@offswitch/redis`, which the application has installed. */
interface RedisModule {
  redisStore(options: RedisAddress & { readonly anchor: false; readonly founds: false }): StateStore;
  requestRedisControl(
    place: RedisAddress,
    method: string,
    params?: Readonly<Record<string, unknown>>,
    options?: ControlRequestOptions,
  ): Promise<readonly ControlAnswer[]>;
  readRedisJournals(place: RedisAddress, roots: readonly string[]): Promise<Journals>;
}

/** How long a Redis that is slow, or is being restarted, is asked again: a stop is not given up for a bad second. Milliseconds. */
const againWithinMs = 4_000;
const againAfterMs = 50;

/** How long one process may take to answer. Milliseconds, as for a folder. */
const answerWithinMs = 3_000;

/** However it is written: what is not taken for one is shown as the name of a folder, and may hold a password. */
export function isRedisUrl(state: string): boolean {
  return /^\s*(redis|valkey)s?:/i.test(state);
}

/**
 * A folder where an application that has its state in Redis keeps only which one that is (the `anchor` of redisStore). A stop that is written there
 * reaches nobody. Throws `state_in_redis`.
 */
export function mustNotBeInRedis(folder: string): void {
  if (!existsSync(join(folder, 'redis.json')) || existsSync(join(folder, 'switches.json'))) return;
  throw new CommandError(
    'state_in_redis',
    `the application of ${clean(folder)} keeps its state in Redis, and nothing of it is in this folder: name that Redis, with --state redis://host:port or OFFSWITCH_STATE`,
    exit.usage,
  );
}

/** `state`: as `--state` has it, with the application's prefix as `?prefix=`. `folder` is what of the others has nothing to do with state: files, modules. */
export function redisPlace(state: string, folder: Place = folderPlace('.offswitch')): Place {
  const { address, shown } = addressIn(state);
  let loaded: Promise<RedisModule> | undefined;
  const redis = (): Promise<RedisModule> => {
    loaded ??= folder.load('@offswitch/redis').catch((cause) => {
      throw new CommandError(
        'not_installed',
        `the state is in Redis, and @offswitch/redis is not installed here: npm install @offswitch/redis redis (${cause instanceof Error ? cause.message : String(cause)})`,
      );
    }) as Promise<RedisModule>;
    return loaded;
  };
  // Asked again for the whole time and gone: what only reads asks once from then on, and a person hears so soon.
  let isGone = false;
  // Everything that is asked may be asked twice: marks are a join, and the first word on a call stands.
  const patiently = async <T>(work: () => Promise<T>, isAct = false): Promise<T> => {
    const giveUpAt = performance.now() + (isGone && !isAct ? 0 : againWithinMs);
    for (;;)
      try {
        const result = await work();
        isGone = false;
        return result;
      } catch (error) {
        if (failureOf(error).code !== 'store_failed') throw error;
        isGone ||= performance.now() > giveUpAt;
        if (performance.now() > giveUpAt) throw error;
        await pause(againAfterMs);
      }
  };
  // One for the whole command, opened when it is first needed: opening reads every stop there is. It confirms stops as any process does.
  let opening: Promise<StateStore> | undefined;
  const open = async (): Promise<StateStore> => {
    const store = (await redis()).redisStore({ ...address, anchor: false, founds: false });
    try {
      await store.open();
      mustBeWell(store);
      return store;
    } catch (error) {
      opening = undefined;
      await store.close();
      throw error;
    }
  };
  const using = <T>(work: (store: StateStore) => Promise<T> | T, isAct = false): Promise<T> =>
    patiently(async () => {
      opening ??= open();
      return work(mustBeWell(await opening));
    }, isAct);
  let auditor: Auditor | undefined;
  let noted: Promise<string | undefined> = Promise.resolve(undefined);
  const note: Place['note'] = (fact) => {
    const at = Date.now();
    noted = noted.then(async (trouble) => {
      try {
        return await using((store) => {
          auditor ??= new Auditor({
            log: () => store.audit,
            process: store.processId,
            now: () => Date.now(),
            onTrouble: () => {
              // Told when the command ends.
            },
          });
          auditor.note(fact, at);
          return trouble;
        });
      } catch (error) {
        return String(error);
      }
    });
  };
  return {
    ...folder,
    folder: shown,
    // Whether it is there is found out by asking it.
    exists: () => true,
    ask: async (method, params = {}, process) => {
      const { requestRedisControl } = await redis();
      const options = { timeoutMs: answerWithinMs, ...(process === undefined ? {} : { process }) };
      try {
        return await patiently(() => requestRedisControl(address, method, params, options));
      } catch (error) {
        return [processesUnknown(failureOf(error).message)];
      }
    },
    stops: () => using((store) => store.stops()),
    mark: async (key, side, n, details) => {
      await using((store) => store.mark(key, side, n, details), true);
      const { reason, by, subject } = details;
      note({
        type: 'mark',
        stop: key,
        side,
        n,
        reason,
        ...(by === undefined ? {} : { by }),
        ...(subject === undefined ? {} : { subject }),
      });
    },
    receipts: async (unread) => {
      // What was found before it is asked again is found again then.
      const read = await using(async (store) => {
        const damaged: string[] = [];
        return { found: await store.receipts((what) => damaged.push(what)), damaged };
      });
      for (const what of read.damaged) unread?.(what);
      return read.found;
    },
    resolve: async (resolution) => {
      const isFirst = await using((store) => store.resolve(resolution), true);
      if (isFirst) note(resolvedFact(resolution));
      return isFirst;
    },
    note,
    close: async () => {
      const trouble = await noted;
      const unwritten = await auditor?.close();
      const store = await opening?.catch(() => undefined);
      await store?.close();
      return unwritten ?? trouble;
    },
    auditChains: () => using(async (store) => (await store.audit?.chains()) ?? []),
    bundle: (session) => using((store) => store.forensics?.readBundle(session)),
    grants: () => using(async (store) => (await store.grants?.list()) ?? []),
    journals: async (roots = []) => (await redis()).readRedisJournals(address, roots),
    registered: (roots) =>
      using(async ({ lineage }) => {
        const found: RegisteredSession[] = [];
        for (const root of roots)
          for (let after: string | undefined = ''; after !== undefined; ) {
            const page: Awaited<ReturnType<typeof lineage.subtree>> = await lineage.subtree(root, root, { after });
            found.push(...page.sessions);
            after = page.next;
          }
        return found;
      }),
    document: () => using((store) => store.readDocument('switches')),
    lint: (path, switches: KillSwitches | undefined) => folder.lint(path, switches),
  };
}

function mustBeWell(store: StateStore): StateStore {
  if (store.health.state === 'failed')
    throw new CommandError('store_failed', store.health.why ?? 'the store in Redis cannot be used');
  return store;
}

/** `shown`: without credentials. Throws `bad_state`, whose message does not repeat what was typed: it may be a password. */
function addressIn(state: string): { readonly address: RedisAddress; readonly shown: string } {
  const form =
    "redis[s]://[[username][:password]@]host[:port][/db], in quotes, and '?prefix=...' where the application has another";
  let url: URL;
  try {
    url = new URL(state.trim().replace(/^valkey/i, 'redis'));
  } catch {
    throw new CommandError('bad_state', `--state is no URL of a Redis: ${form}`, exit.usage);
  }
  const prefix = url.searchParams.get('prefix') ?? undefined;
  const isPrefixAlone = [...url.searchParams.keys()].join() === (url.search === '' ? '' : 'prefix');
  if (!/^(\/\d*)?$/.test(url.pathname) || url.hash !== '' || !isPrefixAlone)
    throw new CommandError(
      'bad_state',
      `--state has something in it that is not taken: ${form}. In a name or password write / as %2F, ? as %3F, # as %23`,
      exit.usage,
    );
  url.search = '';
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  if (prefix === undefined) return { address: { url: url.href }, shown };
  return { address: { url: url.href, prefix }, shown: `${shown}?prefix=${prefix}` };
}
