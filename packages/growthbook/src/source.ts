// source.ts: GrowthBook as a switch source: our own supervised transport under the vendor's unmodified evaluator.

import { type SourceChange, unknown } from '@offswitch/core';
import { feed } from './feed.ts';
import { known } from './known.ts';
import { type GrowthBookOptions, type GrowthBookSource, settingsOf } from './options.ts';
import { resolveFeature } from './resolve.ts';

/**
 * Reads switches from GrowthBook. Nothing is fetched before `open`. Throws `bad_configuration`.
 *
 * `subscribe`: `flagsChanged` names features whose definition changed; an empty list means that only the position moved; absent
 * means that health changed, or that one feature's change may change another's answer.
 */
export function growthBook(options: GrowthBookOptions): GrowthBookSource {
  const settings = settingsOf(options);
  const { location } = settings;
  const listeners = new Set<(change: SourceChange) => void>();
  let isClosed = false;
  let opening: Promise<void> | undefined;
  let whenSettled = (): void => {};

  const notify = (change: SourceChange): void => {
    for (const listener of [...listeners]) {
      try {
        listener(change);
      } catch (error) {
        // Outside the decision: it may not keep the others from hearing (I13), but it may not be lost either.
        process.emitWarning(`a listener of ${location} threw: ${String(error)}`, 'OffswitchWarning');
      }
    }
  };
  const data = known(settings, notify, () => whenSettled());
  const source = feed(settings, data);

  const start = async (): Promise<void> => {
    const settled = new Promise<void>((resolve) => {
      whenSettled = resolve;
    });
    void source.fetchNow();
    const timer = setTimeout(() => whenSettled(), settings.openWithinMs);
    await settled;
    clearTimeout(timer);
  };

  return {
    name: 'growthbook',
    location,
    open() {
      opening ??= isClosed ? Promise.resolve() : start();
      return opening;
    },
    read(flag, subject) {
      try {
        return data.read(flag, subject);
      } catch (error) {
        return unknown('error', `${location}: the evaluation of ${JSON.stringify(flag?.key)} failed: ${String(error)}`);
      }
    },
    get health() {
      return data.health;
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    refresh: () => (opening ? source.fetchNow() : Promise.resolve()),
    resolve(flagKey, type, context) {
      if (!data.ofApplication || isClosed)
        return { reason: 'ERROR', errorCode: 'PROVIDER_NOT_READY', errorMessage: data.health.why ?? `${location} is closed` };
      return resolveFeature(data.ofApplication, flagKey, type, context);
    },
    async close() {
      if (!isClosed) {
        isClosed = true;
        data.close();
        listeners.clear();
        whenSettled();
      }
      await Promise.allSettled([source.close(), opening]);
    },
  };
}
