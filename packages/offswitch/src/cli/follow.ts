// follow.ts: waits until the running processes say that it is so, and says nothing sooner (S10).

import type { Stop } from '@offswitch/core';
import {
  awaitedSeries,
  commandFor,
  isReceiptOf,
  parseStopKey,
  type Receipt,
  type Stage,
  seriesKey,
  stageNames,
  stages,
} from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import type { Place } from './place.ts';
import type { Reach } from './preview.ts';
import { clean, count, paint } from './print.ts';
import { type Answered, type Answers, askAll, isRecord, receiptsIn, type Status, silentOnes, statusIn, stopsIn } from './wire.ts';

/** How long a command waits for confirmation. Milliseconds. 5 s: a file change takes 50 ms to be read; past that somebody should look. */
export const confirmWithinMs = 5000;
/** The same where a process hangs, without which nothing is confirmed: as long as the others need to say what they can. Milliseconds. */
const besideOneThatHangsMs = 1000;
const pollMs = 100;
/** Receipts are asked for by the ids of their stops; of more stops than this, by when they were made. */
const mostNamed = 500;

export interface Followed {
  /** Every running process refuses new work under the stop. True with no process alive: nothing runs. */
  readonly isFenced: boolean;
  readonly processes: number;
  readonly stages: readonly Stage[];
  /** As each process tells them. */
  readonly receipts: readonly Receipt[];
  /** Each once, however many tell of it. */
  readonly receiptIds: readonly string[];
  readonly silent: readonly string[];
}

/** Who answered a moment ago, and who did not, as sentences. */
export type Heard = Pick<Reach, 'answering' | 'silent'>;

/** Tells what runs. Where somebody hangs, only those that answered: the other hears of it from the state, and so does who cannot be told. */
export async function tellRunning(place: Place, method: string, { answering, silent }: Heard): Promise<void> {
  await Promise.all((silent.length > 0 ? answering : [undefined]).map((process) => place.ask(method, {}, process)));
}

/**
 * Follows a stop through its stages. `isIt` says which stop; `applies` whether a process that does not hold the stop is right not
 * to, because nobody it covers lives there. `found`: who answered a moment ago and who did not; where somebody did not, those are asked that did, and
 * nobody waits for the other again.
 */
export async function followStop(
  command: Command,
  isIt: (stop: Stop) => boolean,
  applies?: (place: Place, process: string) => Promise<boolean>,
  found?: Heard,
): Promise<Followed> {
  const { io, place } = command;
  const hangs = found && found.silent.length > 0 ? found : undefined;
  const until = io.now() + (hangs ? besideOneThatHangsMs : confirmWithinMs);
  const shown = new Set<Stage>();
  const gates = new Set<string>();
  const asked = new Set<string>();
  let last: Followed = { isFenced: false, processes: 0, stages: [], receipts: [], receiptIds: [], silent: [] };
  for (let round = 0; round === 0 || io.now() < until; round++) {
    if (round > 0) await io.sleep(pollMs);
    const statuses = hangs === undefined ? await askAll(place, 'status', {}, statusIn) : await askEach(place, hangs.answering);
    const silent = [...(hangs?.silent ?? []), ...silentOnes(statuses)];
    if (statuses.answered.length === 0 && silent.length === 0) return { ...last, isFenced: true, processes: 0, silent };
    const receipts: Receipt[] = [];
    /** Receipts that may still grow by themselves. */
    const growing: Receipt[] = [];
    let isEachFenced = true;
    for (const one of statuses.answered) {
      const mine = await receiptsOf(place, one, isIt);
      receipts.push(...mine);
      if (mine.length > 0 && !asked.has(one.process)) {
        asked.add(one.process);
        if (await isGate(place, one.process)) gates.add(one.process);
      }
      if (!gates.has(one.process)) growing.push(...mine);
      const there = one.value.stops.filter(isIt);
      const isFree = there.length === 0 && mine.length === 0 && applies !== undefined && !(await applies(place, one.process));
      // Each of them: a receipt that is not told is not one that says so.
      const fenced = mine.filter(({ stages }) => stages.fenced !== undefined);
      const ids = new Set(fenced.map(({ stop }) => stop.id));
      const isEach = there.every(({ id }) => ids.has(id) || fenced.some((receipt) => isReceiptOf(receipt, id)));
      if (!isFree && !(there.length > 0 && fenced.length === mine.length && isEach)) isEachFenced = false;
    }
    const reached =
      receipts.length === 0 ? [] : stages.filter((stage) => receipts.every((one) => one.stages[stage] !== undefined));
    for (const stage of reached) {
      // A stage that had nothing to do is not announced as work done.
      if (shown.has(stage) || (stage === 'revoked' && receipts.every((one) => one.grants.length === 0))) continue;
      shown.add(stage);
      command.say(`  ${paint(io, 'green', '✓')} ${stageNames[stage]}`);
    }
    const receiptIds = [...new Set(receipts.map(({ id }) => id))];
    const isFenced = isEachFenced && silent.length === 0;
    last = { isFenced, processes: statuses.answered.length, stages: reached, receipts, receiptIds, silent };
    if (isEachFenced && silent.length === (hangs?.silent.length ?? 0) && growing.every((one) => one.stages.done !== undefined))
      return last;
  }
  return last;
}

async function askEach(place: Place, processes: readonly string[]): Promise<Answers<Status>> {
  const all = await Promise.all(processes.map((one) => askAll(place, 'status', {}, statusIn, one)));
  return { answered: all.flatMap(({ answered }) => answered), silent: all.flatMap(({ silent }) => silent) };
}

/** A gate alone does not see its loop's turns end: what it says at once is all that it says until the loop asks again. */
async function isGate(place: Place, process: string): Promise<boolean> {
  const { answered } = await askAll(place, 'ping', {}, (value) => isRecord(value) && value.kind === 'gate', process);
  return answered.some((one) => one.value);
}

async function receiptsOf(place: Place, of: Answered<Status>, isIt: (stop: Stop) => boolean): Promise<readonly Receipt[]> {
  // Beside these there may be any number of newer and older ones, of which the answer would hold a hundred.
  const held = of.value.stops.filter(isIt);
  const params =
    held.length === 0
      ? {}
      : held.length <= mostNamed
        ? { stops: held.map(({ id }) => id) }
        : { since: held.reduce((first, { since }) => Math.min(first, since), Number.POSITIVE_INFINITY) };
  const answers = await askAll(place, 'receipts', params, receiptsIn, of.process);
  return answers.answered.flatMap((one) => one.value).filter((one) => one.released === undefined && isIt(one.stop));
}

/**
 * Waits until no running process holds it any more; the stops that are still held when time is up. `flipped`: the switch that the
 * control has confirmed released: where its source gives no positions no reading can release, so it is released by act (S3).
 */
export async function followRelease(
  command: Command,
  isIt: (stop: Stop) => boolean,
  flipped?: { readonly key: string; readonly who: Who; readonly series: string | undefined },
): Promise<{ readonly held: readonly Stop[]; readonly processes: number; readonly silent: readonly string[] }> {
  const { io, place } = command;
  const until = io.now() + confirmWithinMs;
  for (;;) {
    const statuses = await askAll(place, 'status', {}, statusIn);
    const held = statuses.answered.flatMap((one) => one.value.stops.filter(isIt));
    const silent = silentOnes(statuses);
    // Nothing that is read at the source releases what another history engaged.
    const awaited = held.filter((stop) => !isForeign(stop, flipped?.series));
    if ((awaited.length === 0 && silent.length === 0) || io.now() >= until)
      return { held, processes: statuses.answered.length, silent };
    if (flipped) {
      for (const one of statuses.answered) {
        const line = one.value.switches.find(({ key }) => key === flipped.key);
        if (line?.series === undefined || line.n !== undefined) continue;
        // Refused while it still reads engaged there; then it is asked again.
        for (const stop of one.value.stops.filter(isIt))
          await askAll(place, 'release', { stop: stop.id, ...flipped.who }, stopsIn, one.process);
      }
    }
    await io.sleep(pollMs);
  }
}

export function isForeign({ id }: Stop, series: string | undefined): boolean {
  const key = parseStopKey(id);
  return series !== undefined && key?.kind === 'switch' && (awaitedSeries(key.series) ?? key.series) !== seriesKey(series);
}

/** The last lines of a stop: what is known, and what is not. */
export function tellFollowed(command: Command, followed: Followed): void {
  const { io } = command;
  for (const one of followed.silent) command.say(paint(io, 'yellow', `  ! ${one}`));
  if (followed.processes === 0 && followed.silent.length === 0) {
    command.say('  no process is running; it will be stopped at start');
    return;
  }
  if (!followed.isFenced) {
    command.say(
      paint(
        io,
        'yellow',
        `  ! not confirmed by every process${followed.silent.length > 0 ? '' : ` within ${confirmWithinMs / 1000} s`}. It is recorded and takes hold where it is read; look again: offswitch status`,
      ),
    );
    return;
  }
  const sessions = new Map(followed.receipts.flatMap((one) => one.sessions).map((one) => [one.session, one]));
  const by = (state: string): number => [...sessions.values()].filter((one) => one.state === state).length;
  const parts = [
    by('paused') > 0 ? `${count(by('paused'), 'session')} paused` : '',
    by('stopped') > 0 ? `${count(by('stopped'), 'session')} ended for good` : '',
    by('unconfirmed') > 0 ? `${count(by('unconfirmed'), 'session')} not yet at rest` : '',
  ].filter((part) => part !== '');
  command.say(
    `  ${parts.length > 0 ? parts.join(', ') : 'confirmed: no live session is covered; a new one is refused or born stopped'}`,
  );
  for (const one of new Set(followed.receipts.flatMap((receipt) => receipt.residue)))
    command.say(paint(io, 'yellow', `  ! ${clean(one)}`));
  // One that covers nobody goes with its stop: it would be gone when somebody looks.
  const [first] = followed.receipts.filter((one) => one.sessions.length > 0);
  if (first) command.say(`  receipt: ${commandFor({ location: command.place.folder })} receipts ${clean(first.id)}`);
}
