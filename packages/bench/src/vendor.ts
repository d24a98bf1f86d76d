// vendor.ts: what every vendor's adapter is measured by: from the flip at the vendor to the last call of a fleet, the vendor's own
// part of it, how soon the gate is closed after the vendor's word, and what an evaluation costs.
//
// The vendor's server runs in the same process, so its work is in the figures too.

import { randomUUID } from 'node:crypto';
import type { Subject, SwitchFlag, SwitchSource } from '@offswitch/core';
import { createRuntime, memoryStore, type Session } from '@offswitch/runtime';
import { type Case, check, type Figure } from './case.ts';
import { openFleet, switches } from './fleet.ts';
import { median, nanosecondsEach, percentile, quiet, spread, until } from './measure.ts';

export interface VendorUnderTest {
  /** Not opened; every switch is released. */
  readonly source: SwitchSource;
  /** A global or feature switch, stored at the vendor as its dashboard does it. Resolves when it is stored. */
  flip(flag: SwitchFlag, isEngaged: boolean): Promise<void> | void;
  /** From now on the user or instance switch lists these ids. Resolves when it is stored. */
  list(flag: SwitchFlag, ids: readonly string[]): Promise<void> | void;
  /** The vendor's SDK alone, ready and listening; `updated` is called when it has a change. */
  bare(updated: () => void): Promise<{ close(): unknown }>;
  close(): Promise<void>;
}

/** How often, for vendors whose every flip takes a second: a benchmark must end within two minutes. */
export interface VendorCaseOptions {
  /** Default 40. */
  readonly flips?: number;
  /** Rounds over 10,000 sessions. Default 20. */
  readonly rounds?: number;
  /** Flips come at a random point of this time: the vendor's polling interval, or each would meet the same moment of it. Milliseconds. Default 0. */
  readonly pollMs?: number;
}

const batch = switches.feature('batch');
const callers = 1_000;
/** Longest call. They take from half of it at random, or a fleet that was released at once calls in step. */
const callMs = 60;
const idle = 10_000;

/** The case of one vendor; `open` gives a vendor of its own each time. */
export function vendorCase(name: string, open: () => Promise<VendorUnderTest>, options: VendorCaseOptions = {}): Case {
  const { flips = 40, rounds = 20, pollMs = 0 } = options;
  const prefix = `vendor.${name}`;
  const sizes = [1, 100, 10_000] as const;
  return {
    figures: [
      `${prefix}.lastcall.p50.ms`,
      `${prefix}.lastcall.p99.ms`,
      `${prefix}.sdk.p50.ms`,
      `${prefix}.closed.p50.ms`,
      `${prefix}.swept.p50.ms`,
      ...sizes.map((size) => `${prefix}.eval.${size}.us`),
    ],
    async run() {
      const sdk = median(await sdkAlone(await open(), flips, pollMs));
      const last = await lastCalls(await open(), flips, pollMs);
      const { closed, swept } = await gates(await open(), rounds);
      const beside = { what: 'the SDK alone', value: sdk };
      const figures: Figure[] = [
        { name: `${prefix}.sdk.p50.ms`, value: sdk, unit: 'ms', note: `${flips} flips, the SDK alone` },
        {
          name: `${prefix}.lastcall.p50.ms`,
          value: median(last),
          unit: 'ms',
          beside,
          note: `${callers} sessions calling, ${flips} flips`,
        },
        { name: `${prefix}.lastcall.p99.ms`, value: percentile(last, 0.99), unit: 'ms', note: spread(last) },
        {
          name: `${prefix}.closed.p50.ms`,
          value: median(closed),
          unit: 'ms',
          target: 2,
          note: `${idle} sessions, ${spread(closed)}`,
        },
        {
          name: `${prefix}.swept.p50.ms`,
          value: median(swept),
          unit: 'ms',
          note: `${idle} sessions read anew, ${spread(swept)}`,
        },
      ];
      const evaluated = await open();
      for (const size of sizes) {
        const samples = await evaluations(evaluated, size);
        const note = `four tiers, ${size} ids listed, none of them asked for, ${spread(samples)}`;
        figures.push({ name: `${prefix}.eval.${size}.us`, value: median(samples), unit: 'us', note });
      }
      await evaluated.source.close();
      await evaluated.close();
      return figures;
    },
  };
}

/** From the flip to the SDK's own word of it. */
async function sdkAlone(vendor: VendorUnderTest, flips: number, pollMs: number): Promise<number[]> {
  let toldAt = 0;
  const sdk = await vendor.bare(() => {
    toldAt = performance.now();
  });
  await quiet();
  const samples: number[] = [];
  for (let i = -3; i < flips; i++) {
    toldAt = 0;
    const start = performance.now();
    await vendor.flip(batch, i % 2 === 0);
    await until('the SDK telling of a flip', () => toldAt > 0, 30_000);
    if (i >= 0) samples.push(toldAt - start);
    await quiet(20 + Math.random() * pollMs);
  }
  await sdk.close();
  await vendor.close();
  return samples;
}

/** From the flip to the start of the last call that any of the sessions still made. */
async function lastCalls(vendor: VendorUnderTest, flips: number, pollMs: number): Promise<number[]> {
  const runtime = await createRuntime({ switches, source: vendor.source, store: memoryStore() });
  const live = new Set<Session>();
  let lastCallAt = 0;
  let calls = 0;
  const caller = runtime.agent('batch', async (session, delayMs: number) => {
    live.add(session);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    for (;;) {
      await session.turn((turn) =>
        turn.tool(
          'look',
          { at: calls },
          () => {
            lastCallAt = performance.now();
            calls++;
            return new Promise<number>((resolve) => setTimeout(resolve, (callMs / 2) * (1 + Math.random()), 1));
          },
          { effect: false },
        ),
      );
    }
  });
  for (let i = 0; i < callers; i++) caller.start((i * callMs) / callers, { userId: `u-${i}` });
  await until('every session calling', () => live.size === callers && calls >= 2 * callers);
  const all = (action: string): boolean => [...live].every((session) => session.decision.action === action);
  const samples: number[] = [];
  for (let i = -2; i < flips; i++) {
    await quiet(300 + Math.random() * pollMs);
    const start = performance.now();
    await vendor.flip(batch, true);
    await until('every session paused', () => all('pause'), 30_000);
    await quiet(2 * callMs);
    const before = calls;
    await quiet(50);
    check(calls === before, 'a paused session made another call');
    // None after the flip: the gate was closed before the next one was due.
    if (i >= 0) samples.push(Math.max(0, lastCallAt - start));
    await vendor.flip(batch, false);
    await until('every session going on', () => all('run') && calls >= before + callers, 30_000);
  }
  await runtime.close();
  await vendor.close();
  return samples;
}

/** From the source's word to the closed gate, and to the last of all sessions being read anew. */
async function gates(vendor: VendorUnderTest, rounds: number): Promise<{ closed: number[]; swept: number[] }> {
  let toldAt = 0;
  let reads = 0;
  let lastReadAt = 0;
  const watched = Object.create(vendor.source, {
    subscribe: {
      value: (listener: Parameters<SwitchSource['subscribe']>[0]) =>
        vendor.source.subscribe((change) => {
          toldAt = performance.now();
          listener(change);
        }),
    },
    read: {
      value: (...asked: Parameters<SwitchSource['read']>) => {
        reads++;
        lastReadAt = performance.now();
        return vendor.source.read(...asked);
      },
    },
  }) as SwitchSource;
  const fleet = await openFleet({ source: watched });
  await fleet.startRoots(idle);
  let closedAt = 0;
  fleet.runtime.subscribe((event) => {
    if (event.type === 'stop' && event.engaged) closedAt = performance.now();
  });
  const closed: number[] = [];
  const swept: number[] = [];
  for (let i = -2; i < rounds; i++) {
    await quiet();
    closedAt = 0;
    await vendor.flip(batch, true);
    await until('the stop', () => closedAt > 0, 30_000);
    check(
      fleet.live.every((session) => session.decision.action === 'pause'),
      'a gate was open after the stop was told of',
    );
    if (i >= 0) closed.push(closedAt - toldAt);
    await vendor.flip(batch, false);
    await until('the release', () => fleet.live.every((session) => session.decision.action === 'run'), 30_000);
    await quiet();
    reads = 0;
    await vendor.list(switches.instance!, [`nobody-${i}`]);
    await until('every session being read anew', () => reads >= idle, 30_000);
    await quiet();
    if (i >= 0) swept.push(lastReadAt - toldAt);
  }
  await fleet.close();
  await vendor.close();
  return { closed, swept };
}

/** Microseconds to evaluate four tiers for one of many sessions, with ids made at run time, as sessions have them. */
async function evaluations(vendor: VendorUnderTest, size: number): Promise<number[]> {
  const { source } = vendor;
  await source.open();
  // As long as the ids that are asked for: strings of other lengths are told apart at a glance.
  const ids = Array.from({ length: size }, () => randomUUID());
  await vendor.list(switches.user!, ids);
  await vendor.list(switches.instance!, ids);
  await source.refresh?.();
  const subjects = Array.from(
    { length: 500 },
    (): Subject => ({ workflow: 'batch', userId: randomUUID(), sessionId: randomUUID() }),
  );
  const { global, user, instance } = switches;
  const tiers = [global, switches.feature('batch'), user!, instance!];
  let at = 0;
  const once = async (): Promise<void> => {
    const subject = subjects[at++ % subjects.length]!;
    for (const flag of tiers) {
      const reading = source.read(flag, subject);
      const { state } = reading instanceof Promise ? await reading : reading;
      check(state === 'released', `${flag.key} reads ${state}`);
    }
  };
  const isSync = !(source.read(global, {}) instanceof Promise);
  check(isSync, 'the source answers with promises; measure it another way');
  const times = size > 1000 ? 100 : 2_000;
  return nanosecondsEach(times, (count) => {
    for (let i = 0; i < count; i++) void once();
  }).samples.map((nanoseconds) => nanoseconds / 1000);
}
