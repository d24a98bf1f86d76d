// kernel.ts: what the gate and the runtime share: the source read, the stops latched, one decision for a node.

import { type Decision, type KillSwitches, noticeOf, run, type SwitchFlag, type SwitchSource, strongest } from '@offswitch/core';
import type { Clock } from './clock.ts';
import { RuntimeError } from './error.ts';
import type { FlagState } from './flag-states.ts';
import { closeInTime, openInTime } from './guarded-source.ts';
import { guard, type Node, type RootCell } from './node.ts';
import type { StopEntry } from './stop-entry.ts';
import { type StopChange, StopSet } from './stop-set.ts';
import type { StateStore, StoreChange, StoredStop, StoreOpening } from './store.ts';
import { Switchboard } from './switchboard.ts';
import { type WalkContext, walk } from './walk.ts';

export interface KernelOptions {
  readonly switches: KillSwitches;
  readonly source: SwitchSource;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly bootstrapMaxAgeMs: number;
  /** See `StateStore.open`. */
  readonly runsSessions: boolean;
  readonly onStop: (change: StopChange) => void;
  /** A stop whose latch had failed is durable now. */
  readonly onLatched?: (entry: StopEntry) => void;
  /** Who and why of a stop that was learned without are known now. */
  readonly onWords?: (entry: StopEntry) => void;
  /** A stop, a hold or a reading changed: what is held may go on, what runs may have to stop. */
  readonly onChange: () => void;
  readonly onAlarm: (alarm: Alarm) => void;
  /** Whatever the store tells, from when it is opened on, after what it says of stops and of itself was taken in. */
  readonly onStoreChange?: (change: StoreChange) => void;
  /** See `StopSetOptions.findRoot`. */
  readonly findRoot?: (subject: string) => RootCell | undefined;
}

/** Something a person must see now: a hold with its cause and way out, a switch turned on for everybody, a failing folder, a credential that lives on. */
export interface Alarm {
  readonly kind: 'hold' | 'untargeted' | 'source' | 'store' | 'grant';
  readonly message: string;
  /** False when the trouble it tells of is over. */
  readonly isActive: boolean;
  readonly at: number;
}

export class Kernel {
  readonly options: KernelOptions;
  readonly stops: StopSet;
  readonly opening: StoreOpening;
  readonly switchboard: Switchboard;
  private readonly context: WalkContext;
  /** Decides anew: the slow side of the guard. */
  readonly walkOne: (node: Node) => Decision;
  private readonly endWatch: () => void;
  private shutdown: Decision = run;
  private storeTrouble: string | undefined;
  private isReady = false;
  private declaredSeries: string | undefined;

  static async open(options: KernelOptions): Promise<Kernel> {
    // The source is asked while the folder is read; a rejection is bad configuration and is the caller's to see.
    const opened = openInTime(options.source, options.clock);
    opened.catch(() => {});
    let kernel: Kernel | undefined;
    try {
      kernel = new Kernel(options, await options.store.open({ runsSessions: options.runsSessions }));
      await opened;
      await kernel.switchboard.open();
    } catch (error) {
      // The cause of the start's failure is what the caller is told, whatever closing makes of it.
      kernel?.switchboard.close();
      kernel?.stops.close();
      kernel?.endWatch();
      await Promise.allSettled([closeInTime(options.source, options.clock), options.store.close()]);
      throw error;
    }
    await kernel.writeDeclared();
    kernel.isReady = true;
    return kernel;
  }

  private constructor(given: KernelOptions, opening: StoreOpening) {
    const options: KernelOptions = {
      ...given,
      onAlarm: (alarm) => {
        try {
          given.onAlarm(alarm);
        } catch {
          // Whoever listens is outside of the decision (I13).
        }
      },
    };
    this.options = options;
    this.opening = opening;
    const effects = new Map<string, SwitchFlag>(
      options.switches.flags.map((flag) => [flag.tier === 'feature' ? `feature.${flag.workflow}` : flag.tier, flag]),
    );
    this.stops = new StopSet({
      store: options.store,
      clock: options.clock,
      effects,
      findRoot: options.findRoot,
      onChange: (change) => {
        options.onStop(change);
        if (!this.isReady) return;
        this.switchboard.follow(change.entry);
        options.onChange();
      },
      onLatched: (entry) => options.onLatched?.(entry),
      onWords: (entry) => options.onWords?.(entry),
      onStoreError: (error) =>
        this.storeFailed(`a stop could not be written down and is kept in memory until it can: ${String(error)}`),
    });
    this.stops.learn(opening.stops);
    this.switchboard = new Switchboard({
      switches: options.switches,
      source: options.source,
      stops: this.stops,
      clock: options.clock,
      kept: opening.readings,
      bootstrapMaxAgeMs: options.bootstrapMaxAgeMs,
      onTrouble: (state) => options.onAlarm(troubleAlarm(state, options.clock.now())),
      onOlder: ({ flag, older }) =>
        options.onAlarm({
          kind: 'source',
          message: older === undefined ? `${flag.key} reads from the newest copy again` : `${flag.key} ${older}`,
          isActive: older !== undefined,
          at: options.clock.now(),
        }),
      onSwept: () => {
        if (!this.isReady) return;
        // A source that came up after us names its history late, and the command line asks for it.
        if (this.declaredSeries === undefined && this.series() !== undefined) void this.writeDeclared();
        options.onChange();
      },
      keep: (readings) => {
        const kept = async (): Promise<void> => options.store.keepReadings(readings);
        kept().catch((error) => this.storeFailed(`the last readings could not be kept: ${String(error)}`));
      },
    });
    this.context = { switches: options.switches, stops: this.stops, switchboard: this.switchboard, holdOnAll: run };
    this.walkOne = (node) => walk(this.context, node);
    this.endWatch = options.store.watch((change) => {
      if (change.stops) this.learn(change.stops);
      if (change.lost) this.storeFailed(lostMessage(change.lost, options.store.location));
      this.checkStore();
      options.onStoreChange?.(change);
    });
    this.checkStore();
  }

  /** What is declared here and where the flags are, for a command line that finds no process alive. */
  private async writeDeclared(): Promise<void> {
    const { switches, source, store, clock } = this.options;
    const series = this.series();
    this.declaredSeries = series;
    const document = {
      switches: switches.flags,
      workflows: switches.workflows,
      source: {
        kind: source.name,
        ...(source.location === undefined ? {} : { location: source.location }),
        ...(series === undefined ? {} : { series }),
      },
      at: clock.now(),
    };
    await store
      .writeDocument('switches', document)
      .catch((error) =>
        this.storeFailed(`what is declared here could not be written down for the command line: ${String(error)}`),
      );
  }

  /** Whose history the source reads from, once something was read live. */
  private series(): string | undefined {
    return [...this.switchboard.flags].find((one) => one.lastLiveAt !== undefined)?.last?.position.series;
  }

  decide(node: Node): Decision {
    if (this.options.store.lineage.isCutOff()) this.checkStore();
    return guard(node, this.stops.tiers, this.walkOne);
  }

  /** What holds everything, turns and calls: a store that failed, or a shutdown. */
  get holdOnAll(): Decision {
    return this.context.holdOnAll;
  }

  /** Holds everything for a shutdown: derived, never latched. */
  shutDown(): void {
    this.shutdown = {
      action: 'pause',
      tier: 'global',
      cause: 'unknown',
      reason: 'this process is shutting down; the session goes on at the next start',
      effect: 'Everything rests before its next call, and goes on at the next start.',
      notice: noticeOf('pause'),
      since: this.options.clock.now(),
    };
    this.context.holdOnAll = strongest(this.context.holdOnAll, this.shutdown);
    this.stops.tiers.epoch++;
  }

  /** Takes in what other processes wrote, now. */
  async reread(): Promise<void> {
    this.learn(await this.options.store.stops());
  }

  /** What another process engaged may have been released at the source since: then nobody else tells us. */
  private learn(stored: readonly StoredStop[]): void {
    let isNews = this.stops.learn(stored);
    // A stop's words may be read after its name was, and they say whose switch to read on for.
    for (const { key } of stored) {
      const entry = this.stops.find(key);
      if (entry && this.switchboard.follow(entry)) isNews = true;
    }
    if (isNews && this.isReady) this.switchboard.lookAgain();
  }

  /** Looks at the store's health: `failed` holds everything until it is over. */
  checkStore(): void {
    const { health } = this.options.store;
    const why = health.state === 'ok' ? undefined : (health.why ?? `the state folder is ${health.state}`);
    if (why === this.storeTrouble) return;
    this.storeTrouble = why;
    const now = this.options.clock.now();
    const failed: Decision =
      health.state === 'failed'
        ? {
            action: 'pause',
            tier: 'global',
            cause: 'unknown',
            reason: why!,
            effect:
              'Everything is held before its next turn: without its state folder nothing here can be told from what was stopped.',
            notice: noticeOf('pause'),
            since: now,
          }
        : run;
    this.context.holdOnAll = strongest(failed, this.shutdown);
    this.stops.tiers.epoch++;
    this.options.onAlarm({
      kind: 'store',
      message: why ?? 'the state folder is well again',
      isActive: why !== undefined,
      at: now,
    });
    if (this.isReady) this.options.onChange();
  }

  async close(): Promise<void> {
    this.endWatch();
    this.switchboard.close();
    this.stops.close();
    // Both are tried, whatever the first one does.
    const ends = await Promise.allSettled([closeInTime(this.options.source, this.options.clock), this.options.store.close()]);
    for (const end of ends)
      if (end.status === 'rejected')
        throw new RuntimeError('closed', `closing failed: ${String(end.reason)}`, { cause: end.reason });
  }

  private storeFailed(message: string): void {
    this.options.onAlarm({ kind: 'store', message, isActive: true, at: this.options.clock.now() });
    this.checkStore();
  }
}

function lostMessage(lost: readonly StoredStop[], location: string | undefined): string {
  const names = lost.slice(0, 5).map((one) => one.key);
  const more = lost.length > names.length ? ` and ${lost.length - names.length} more` : '';
  return (
    `somebody removed stops from ${location ?? 'the store'}: ${names.join(', ')}${more}. That releases nothing; they are written again. ` +
    'To release one: offswitch release --stop <id> --reason ...'
  );
}

function troubleAlarm(state: FlagState, at: number): Alarm {
  const { trouble, flag } = state;
  if (!trouble) return { kind: 'hold', message: `${flag.key} can be read again`, isActive: false, at };
  if (trouble.cause === 'untargeted') return { kind: 'untargeted', message: trouble.message, isActive: true, at };
  const result = state.isKnown
    ? 'its last known state stands'
    : flag.whenUnknown === 'run'
      ? 'sessions run all the same, because whenUnknown is "run"'
      : 'sessions it covers are held';
  return {
    kind: 'hold',
    message: `${flag.key} cannot be read (${trouble.cause}): ${trouble.message}; ${result}`,
    isActive: true,
    at,
  };
}
