// health-events.ts: a source's health as OpenFeature provider events.
//
// The SDK owns the status and sets READY when `initialize` settles, over anything emitted before. So nothing is said until
// after that, and READY itself is said only on the way back. FATAL is never said: it makes every evaluation the caller's
// default, which would lift a stop, and a source that is lost today may be back tomorrow.

import type { SourceChange, SwitchSource } from '@offswitch/core';
import { type ConfigChangeEvent, ErrorCode, type OpenFeatureEventEmitter, ProviderEvents } from '@openfeature/server-sdk';
import { maxTimerMs, type ProviderClock } from './clock.ts';

export interface HealthEventsOptions {
  readonly source: SwitchSource;
  readonly events: OpenFeatureEventEmitter;
  /** Named as changed where the source cannot tell which flags did. */
  readonly switchKeys: readonly string[];
  /** Staleness, in milliseconds, after which STALE becomes ERROR. */
  readonly errorAfterMs: number;
  readonly clock: ProviderClock;
}

export interface HealthEvents {
  /** From now on the SDK holds the provider for READY: corrects that where it is not so, and follows the source. */
  settled(): void;
  /** The source may read differently now. */
  changed(change: SourceChange): void;
  /** Nothing is emitted any more, and no timer is left. */
  close(): void;
}

type Said = 'ready' | 'stale' | 'error';

export function healthEvents({ source, events, switchKeys, errorAfterMs, clock }: HealthEventsOptions): HealthEvents {
  let said: Said | undefined;
  let isClosed = false;
  let graceTimer: unknown;

  // The SDK's `emit` accepts any payload, so a misspelt `flagsChanged` would compile there; here it does not.
  const emitChange = (details: Required<Pick<ConfigChangeEvent, 'flagsChanged'>>): void =>
    events.emit(ProviderEvents.ConfigurationChanged, details);
  const stopGrace = (): void => {
    clock.clearTimeout(graceTimer);
    graceTimer = undefined;
  };
  const fail = (message: string): void => {
    stopGrace();
    if (said === 'error') return;
    said = 'error';
    events.emit(ProviderEvents.Error, { message, errorCode: ErrorCode.GENERAL });
  };
  const why = (): string => source.health.why ?? `${source.name} is ${source.health.state}`;

  const report = (): void => {
    switch (source.health.state) {
      case 'fresh':
        stopGrace();
        if (said === 'ready') return;
        said = 'ready';
        events.emit(ProviderEvents.Ready, { message: `${source.name} is fresh` });
        return;
      case 'starting':
      case 'stale':
        if (said !== 'ready') return;
        said = 'stale';
        events.emit(ProviderEvents.Stale, { message: why() });
        // A handler may have closed us, or the source may have come back, inside the emit.
        if (isClosed || said !== 'stale' || errorAfterMs > maxTimerMs) return;
        graceTimer = clock.setTimeout(
          () => fail(`${source.name} has been stale for ${errorAfterMs} ms: ${why()}`),
          Math.max(0, errorAfterMs),
        );
        return;
      case 'closed':
        fail(`${source.name} was closed; its switches are no longer read`);
        return;
    }
  };

  return {
    settled() {
      if (isClosed || said !== undefined) return;
      said = 'ready';
      report();
    },
    changed(change) {
      if (isClosed || said === undefined) return;
      const before = said;
      report();
      if (isClosed) return;
      // A change without keys that made us less healthy was about health alone; any other may be about any switch.
      const isLossAlone = change.flagsChanged === undefined && said !== before && said !== 'ready';
      if (!isLossAlone) emitChange({ flagsChanged: [...(change.flagsChanged ?? switchKeys)] });
    },
    close() {
      isClosed = true;
      stopGrace();
    },
  };
}
