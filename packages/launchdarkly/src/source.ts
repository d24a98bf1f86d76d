// source.ts: LaunchDarkly as a switch source, on a connection of its own.
//
// The unmodified SDK evaluates. Its own connection is not used: measured, it is silent through a stall for 300 s, gives up for
// ever on a 401, and crashes the host on a malformed event (docs/vendors/launchdarkly.md). Ours feeds the SDK in memory.

import { type Reading, type Subject, type SwitchFlag, type SwitchSource, unknown } from '@offswitch/core';
import { clientSource } from './client-source.ts';
import { contextOf } from './context.ts';
import { createCustody } from './custody.ts';
import { faultOf, readingOf } from './evaluate.ts';
import { closeQuietly, createFeed, feedUrl } from './feed.ts';
import { createFreshness } from './freshness.ts';
import { createListeners } from './listeners.ts';
import { type LaunchDarklyOptions, type Settled, settle } from './options.ts';
import { standingOf } from './position.ts';
import { resolveWith } from './resolve.ts';
import { answersAtOnce, type LaunchDarklySdk, type LdClient, type LdDetail, loadSdk, silent } from './sdk.ts';
import { createStore } from './store.ts';
import { openTransport, type Transport } from './transport.ts';
import { createUsage } from './usage.ts';

/**
 * Reads switches from LaunchDarkly. Nothing is connected before `open`. Throws `bad_configuration`; `open` rejects with it where
 * no SDK is installed.
 *
 * Readings are synchronous with SDK 9.x and promises with 7.x. `subscribe`: `flagsChanged` names flags whose definition
 * changed; absent: health changed, or a segment did, and any flag may read differently.
 */
export function launchDarkly(options: LaunchDarklyOptions): SwitchSource {
  const settled = settle(options);
  const { sdkKey, client } = options;
  if (sdkKey !== undefined) return connectedSource(sdkKey, options, settled);
  return clientSource(client!, settled);
}

function connectedSource(sdkKey: string, options: LaunchDarklyOptions, settled: Settled): SwitchSource {
  const { series, location, staleAfterMs, pollMs, now } = settled;
  const listeners = createListeners(location);
  const custody = createCustody();
  let hasApplied = false;
  let isClosed = false;
  let opening: Promise<void> | undefined;
  let opened = (): void => {};
  let transport: Transport | undefined;
  let evaluator: LdClient | undefined;
  let application: LdClient | undefined;
  let isSync = false;
  /** Flags fed and not yet applied by the SDK; undefined: any flag may be among them. */
  let awaited: Set<string> | undefined = new Set();

  const freshness = createFreshness({
    staleAfterMs,
    now,
    hasData: () => hasApplied,
    changed() {
      if (freshness.health.state !== 'starting') opened();
      listeners.notify({});
    },
    ranOut: () => transport?.ranOut(),
  });
  const store = createStore(() => {
    hasApplied = true;
    const keys = awaited;
    awaited = new Set();
    freshness.check();
    listeners.notify(keys && keys.size > 0 ? { flagsChanged: [...keys] } : {});
  });
  const feed = createFeed(() => (custody.hasData ? JSON.stringify({ path: '/', data: custody.everything() }) : undefined));
  const usage = createUsage(() => application, settled.reportUsageEveryMs);

  const start = (sdk: LaunchDarklySdk): void => {
    if (isClosed) return;
    evaluator = sdk.init(sdkKey, {
      streamUri: feedUrl,
      proxyAgent: feed.agent,
      featureStore: store,
      sendEvents: false,
      ...(options.sdkOptions?.bigSegments === undefined ? {} : { bigSegments: options.sdkOptions.bigSegments }),
      diagnosticOptOut: true,
      logger: silent,
    });
    isSync = answersAtOnce(evaluator);
    // Reads the same store and connects to nothing but the events endpoint: what the application evaluates is reported as ever.
    application =
      options.client ??
      sdk.init(sdkKey, {
        eventsUri: settled.eventsUri,
        diagnosticOptOut: true,
        logger: silent,
        ...options.sdkOptions,
        useLdd: true,
        featureStore: store,
      });
    transport = openTransport({
      sdkKey,
      baseUri: settled.baseUri,
      streamUri: settled.streamUri,
      ...(options.agent ? { agent: options.agent } : {}),
      staleAfterMs,
      pollMs,
      freshness,
      custody,
      feed(event, data, keys) {
        if (keys === undefined) awaited = undefined;
        else for (const key of keys) awaited?.add(key);
        feed.send(event, data);
      },
    });
  };
  const open = async (): Promise<void> => {
    const firstData = new Promise<void>((resolve) => {
      opened = resolve;
    });
    start(options.sdk ?? (await loadSdk()));
    let giveUp: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      giveUp = setTimeout(resolve, settled.openWithinMs);
    });
    if (!isClosed && freshness.health.state === 'starting') await Promise.race([firstData, bound]);
    clearTimeout(giveUp);
  };

  const answer = (flag: SwitchFlag, subject: Subject): Reading | Promise<Reading> => {
    if (isClosed) return unknown('error', `${location}: the source is closed`);
    const { health } = freshness;
    if (!hasApplied || !evaluator) return unknown('not-ready', `${location}: ${health.why ?? 'no data yet'}`);
    const item = store.item('flags', flag.key);
    if (!item) return unknown('not-found', `${location} has no flag ${flag.key}, or it is archived; provision or restore it`);
    usage.note(flag.key);
    const fault = faultOf(flag, item);
    if (fault) return fault;
    const { n, missing, segments } = standingOf(flag, item, store);
    // Accepted and not yet with the SDK: what it answers is the state before.
    const isLive =
      health.state === 'fresh' &&
      custody.versionOf('flags', flag.key) === item.version &&
      segments.every((key) => custody.versionOf('segments', key) === store.item('segments', key)?.version);
    const position = n === undefined ? { series } : { series, n };
    const origin = isLive ? 'live' : 'cached';
    const failed = (error: unknown): Reading =>
      unknown('error', `the evaluation of ${flag.key} failed: ${error instanceof Error ? error.message : String(error)}`);
    const context = contextOf(subject);
    if (!isSync)
      return evaluator
        .variationDetail(flag.key, context, undefined)
        .then((detail) => readingOf(flag, detail, origin, position, item.on === true ? missing : []), failed);
    let answered: LdDetail | undefined;
    const later = evaluator.variationDetail(flag.key, context, undefined, (_error, detail) => {
      answered = detail;
    });
    if (!answered)
      return later.then((detail) => readingOf(flag, detail, origin, position, item.on === true ? missing : []), failed);
    later.catch(() => {});
    return readingOf(flag, answered, origin, position, item.on === true ? missing : []);
  };

  return {
    name: 'launchdarkly',
    location,
    open() {
      opening ??= isClosed ? Promise.resolve() : open();
      return opening;
    },
    read(flag, subject) {
      try {
        return answer(flag, subject);
      } catch (error) {
        return unknown('error', `${location}: the evaluation of ${flag?.key} failed: ${String(error)}`);
      }
    },
    get health() {
      return freshness.health;
    },
    subscribe: (listener) => listeners.subscribe(listener),
    async refresh() {
      await transport?.refresh();
      // The SDK takes what it is fed a few turns later.
      for (let turn = 0; turn < 50 && (awaited === undefined || awaited.size > 0); turn++)
        await new Promise((resolve) => setImmediate(resolve));
    },
    resolve(flagKey, type, context) {
      if (isClosed || !application || (!hasApplied && !options.client))
        return { reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage: freshness.health.why ?? 'no data yet' };
      return resolveWith(application, flagKey, type, context);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      opened();
      transport?.close();
      closeQuietly(evaluator);
      if (application !== options.client) closeQuietly(application);
      feed.close();
      freshness.close();
      listeners.clear();
    },
  };
}
