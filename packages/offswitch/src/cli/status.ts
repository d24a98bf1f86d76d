// status.ts: every switch and whether it is wired to anything, what is in force, who runs. Works with no process alive.

import { type Flip, type Inspection, isEngaged, type Stop, type SwitchFlag, tiers } from '@offswitch/core';
import { awaitedSeries, parseStopKey, type StoredStop } from '@offswitch/runtime';
import { type Command, type Done, done, stopOf } from './command.ts';
import { controlOf, type Wired } from './control-of.ts';
import { type Declared, readDeclared } from './declared.ts';
import { CommandError, exit, failureOf } from './failure.ts';
import { wordsOf } from './flip.ts';
import { inTime } from './in-time.ts';
import { type LeftBehind, notTakenUp } from './left-behind.ts';
import { nothingWritten } from './nothing-there.ts';
import { age, clean, paint, table } from './print.ts';
import { type Answered, askAll, type Status, silentOnes, statusIn, subjectName } from './wire.ts';

/** How long the source's management may take to answer, before the rest is shown without it. Milliseconds. */
const lookWithinMs = 4_000;
/** Of stops of single sessions, which stay for good: these many are shown, the newest. */
const instancesShown = 10;

interface SwitchLine {
  readonly key: string;
  readonly tier: string;
  /** What the processes that run read, else what the control says. */
  readonly state: string;
  readonly targets: readonly string[];
  readonly authorized: readonly string[];
  readonly whenUnknown: string;
  /** What is wrong with it: it would stop nobody, or may surprise (S13). */
  readonly faults: readonly string[];
  readonly neverDrilled: boolean;
}

/** `isAll`: every stop of a single session. */
export async function status(command: Command, isAll: boolean): Promise<Done> {
  const { place, io } = command;
  const answers = await askAll(place, 'status', {}, statusIn);
  const running = answers.answered;
  const problems: string[] = [...silentOnes(answers)];
  const attempt = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const why = clean(failureOf(error).message);
      if (!problems.includes(why)) problems.push(why);
      return otherwise;
    }
  };
  if (!(await attempt(async () => place.exists(), true)))
    problems.push(`there is no folder ${clean(place.folder)}: nothing below tells of any application`);
  const declared = await attempt(() => readDeclared(place), undefined);
  const stored = await attempt(() => place.stops(), undefined);
  // Of a place with a typo in it, or one that has lost its data, "none" would be the worst of answers.
  const isUnused = declared === undefined && running.length === 0;
  if (isUnused && problems.length === 0) problems.push(nothingWritten(place));
  let blind: string | undefined;
  const wired =
    declared &&
    (await controlOf(command, declared).catch((error: unknown) => {
      // That nothing here can flip it is said where something is to be flipped.
      if (!(error instanceof CommandError && error.code === 'no_control')) blind = wordsOf(error);
      return undefined;
    }));
  const control = wired?.control;
  const [inspections, history] = await Promise.all([
    declared && control ? attempt(() => inTime(lookWithinMs, control.inspect(declared.switches)), []) : [],
    control ? attempt(() => inTime(lookWithinMs, control.history({ limit: wired.file ? 10_000 : 100 })), []) : [],
  ]);
  const switches = (declared?.switches.flags ?? []).map((flag) => lineOf(flag, running, inspections, stored ?? [], history));
  const stops = new Map<string, Stop>();
  for (const one of stored ?? []) {
    const stop = isEngaged(one.marks) ? stopOf(one) : undefined;
    if (stop) stops.set(stop.id, stop);
  }
  for (const { value } of running) for (const one of value.stops) stops.set(one.id, one);
  // What stops the most first, and of that the newest.
  const inForce = [...stops.values()].sort((a, b) => tiers.indexOf(a.tier) - tiers.indexOf(b.tier) || b.since - a.since);
  const sessions: Record<string, number> = {};
  for (const { value } of running)
    for (const [state, n] of Object.entries(value.sessions)) sessions[state] = (sessions[state] ?? 0) + n;
  const untold: LeftBehind = { sessions: [], orphans: [], ended: new Map(), damage: 'not known' };
  const left = await attempt(
    () =>
      notTakenUp(
        place,
        running.map((one) => one.value),
      ),
    untold,
  );
  for (const { state } of left?.sessions ?? []) sessions[state] = (sessions[state] ?? 0) + 1;
  if (left?.damage !== undefined && left !== untold) problems.push(clean(left.damage));
  // What is not known is not called none (S10).
  const isSure = stored !== undefined && left?.damage === undefined && !isUnused;

  show(command, {
    declared,
    wired,
    blind,
    running,
    switches,
    stops: inForce,
    isAll,
    areStopsKnown: stored !== undefined,
    sessions,
    areSessionsKnown: left !== untold,
    problems,
  });
  const told = {
    folder: place.folder,
    processes: running.map((one) => ({ process: one.process, pid: one.pid, source: one.value.source, store: one.value.store })),
    source: declared?.source,
    switches,
    stops: inForce,
    sessions,
    ungoverned: [...new Set(running.flatMap((one) => one.value.ungoverned))],
    problems,
    ...(blind === undefined ? {} : { unseen: blind }),
    at: io.now(),
  };
  return done(told, isSure ? exit.ok : exit.failed);
}

function lineOf(
  flag: SwitchFlag,
  running: readonly Answered<Status>[],
  inspections: readonly Inspection[],
  stored: readonly StoredStop[],
  history: readonly Flip[],
): SwitchLine {
  const inspection = inspections.find((one) => one.key === flag.key);
  const reads = running.flatMap((one) => one.value.switches.filter((line) => line.key === flag.key));
  const lost = reads.find((one) => one.state === 'unknown');
  const engaged = reads.some((one) => one.state === 'engaged');
  const inFile = { everybody: 'engaged', targets: 'engaged for some', nobody: 'released', unknown: 'unknown' } as const;
  const said = inspection ? inFile[inspection.engaged] : 'unknown';
  const isScoped = flag.tier === 'user' || flag.tier === 'instance';
  // A scoped switch is read for nobody in particular, so its list is what the file says.
  const state = lost ? 'unknown' : reads.length === 0 || (isScoped && inspection) ? said : engaged ? 'engaged' : 'released';
  const faults = [
    ...(lost ? [`${lost.cause ?? 'unknown'}: ${lost.message ?? 'no process can read it'}`] : []),
    ...new Set(reads.flatMap((one) => (one.state !== 'unknown' && one.message !== undefined ? [`older: ${one.message}`] : []))),
    ...(inspection?.findings ?? []).map((one) => `${one.code}: ${one.message}`),
    ...(flag.whenUnknown === 'run' ? ['runs while it cannot be read (whenUnknown: run)'] : []),
  ];
  const wasStopped = stored.some((one) => {
    const key = parseStopKey(one.key);
    return (
      key?.kind === 'switch' &&
      key.tier === flag.tier &&
      (flag.tier !== 'feature' || key.subject === flag.workflow || one.engaged?.subject === flag.workflow)
    );
  });
  return {
    key: flag.key,
    tier: flag.tier,
    state,
    targets: inspection?.targets ?? [],
    authorized: flag.authorized,
    whenUnknown: flag.whenUnknown,
    faults,
    neverDrilled: !wasStopped && !history.some((one) => one.key === flag.key && one.action === 'engage'),
  };
}

interface Shown {
  readonly declared: Declared | undefined;
  readonly wired: Wired | undefined;
  /** Why what the source's management says is not shown. */
  readonly blind: string | undefined;
  readonly running: readonly Answered<Status>[];
  readonly switches: readonly SwitchLine[];
  readonly stops: readonly Stop[];
  readonly isAll: boolean;
  readonly areStopsKnown: boolean;
  readonly sessions: Readonly<Record<string, number>>;
  readonly areSessionsKnown: boolean;
  readonly problems: readonly string[];
}

function show(command: Command, shown: Shown): void {
  const { declared, wired, blind, running, switches, stops, sessions, problems } = shown;
  const { io, place } = command;
  const now = io.now();
  command.say(`state in ${clean(place.folder)}`);
  for (const one of problems) command.say(paint(io, 'red', `  ! ${one}`));
  if (running.length === 0)
    command.say(paint(io, 'yellow', '  no process answers; what follows is what the folder and the control say'));
  for (const { pid, value } of running) {
    const { source, store } = value;
    const since = source.since === undefined ? '' : ` since ${age(now, source.since)}`;
    command.say(
      `  process ${pid}: source ${clean(source.name)} ${clean(source.state)}${since}${source.why ? ` (${clean(source.why)})` : ''}; state ${clean(store.state)}${store.why ? ` (${clean(store.why)})` : ''}`,
    );
  }
  if (!declared) command.say('  no switches are declared here yet: start the application once, or name its folder with --state');
  else
    command.say(
      `  switches in ${clean(declared.source.location ?? declared.source.kind)}${wired ? `. ${wired.enforcement.replace(/ it$/, ' them')}` : ''}`,
    );
  if (blind !== undefined) command.say(paint(io, 'yellow', `  what is set there is not shown: ${blind}`));

  command.say('\nswitches');
  // Padded by hand, since each line has a colour of its own.
  const widest = Math.max(0, ...switches.map((one) => one.key.length));
  for (const one of switches) {
    const drill = one.neverDrilled ? '  never drilled' : '';
    const targets =
      one.targets.length === 0
        ? ''
        : `  [${one.targets.slice(0, 10).map(clean).join(', ')}${one.targets.length > 10 ? `, and ${one.targets.length - 10} more` : ''}]`;
    const colour = one.state === 'released' ? 'green' : one.state === 'unknown' ? 'yellow' : 'red';
    const line = table([[one.key.padEnd(widest), one.state.padEnd(9), one.authorized.join(', ')]]).trimEnd();
    command.say(`${paint(io, colour, line)}${targets}${drill}`);
    for (const fault of new Set(one.faults)) command.say(paint(io, 'yellow', `      ! ${clean(fault)}`));
  }
  command.say(
    `\nstops in force${shown.areStopsKnown ? (stops.length === 0 ? ': none' : '') : ': not known, for the reason above'}`,
  );
  if (stops.length > 0) {
    const wide = stops.filter((one) => one.tier !== 'instance');
    const single = stops.slice(wide.length);
    const left = shown.isAll ? 0 : Math.max(0, single.length - instancesShown);
    const rows = [...wide, ...single.slice(0, single.length - left)].map((one) => [
      one.tier,
      subjectName(one.subject),
      one.action,
      one.breaker ?? one.cause,
      one.reason,
      one.by ?? '',
      age(now, one.since),
      one.id,
    ]);
    command.say(table([['tier', 'subject', 'action', 'cause', 'reason', 'by', 'since', 'id'], ...rows]).trimEnd());
    if (left > 0) command.say(`  and ${left} older of single sessions: offswitch status --all`);
    for (const { id, tier } of wide.filter((one) => isPending(one.id))) {
      const wayOut = `released with its switch by offswitch release ${tier}, or by offswitch release --stop`;
      command.say(
        paint(
          io,
          'yellow',
          `  ! ${clean(id)} was flipped from here and no process has read it there yet; until then it is ${wayOut}`,
        ),
      );
    }
  }
  const states = Object.entries(sessions).filter(([, n]) => n > 0);
  command.say(
    `\nsessions: ${!shown.areSessionsKnown ? 'not known, for the reason above' : states.length === 0 ? 'none' : states.map(([state, n]) => `${n} ${clean(state)}`).join(', ')}`,
  );
  const ungoverned = [...new Set(running.flatMap((one) => one.value.ungoverned))];
  if (ungoverned.length > 0) command.say(`not governed: ${ungoverned.map(clean).join('; ')}`);
}

/** Latched by the express lane, before any process has read the flip at the source. */
function isPending(id: string): boolean {
  const key = parseStopKey(id);
  return key?.kind === 'switch' && awaitedSeries(key.series) !== undefined;
}
