// ghosts.ts: looks twice for what is alive although it was stopped.

import type { Receipt, StoredStop } from '@offswitch/runtime';
import { type Command, type Done, done } from './command.ts';
import { exit } from './failure.ts';
import { folderHold } from './folder-holds.ts';
import { type Ghost, ghostClasses, ghostsIn, inBoth, type Seen } from './ghosts-found.ts';
import { mustExist, mustHaveBeenUsed } from './nothing-there.ts';
import { clean, count, paint, table } from './print.ts';
import { askAll, isEnded, type SessionLine, sessionsIn, silentOnes, statusIn } from './wire.ts';

/** Between the two looks. Milliseconds: longer than anything that is on its way out takes, short for a person who waits. */
const betweenMs = 1_500;

export async function ghosts(command: Command): Promise<Done> {
  const { io, place } = command;
  mustExist(place);
  const first = await look(command);
  if (isNothing(first.seen)) await mustHaveBeenUsed(place);
  const silent = new Set(first.silent);
  const problems = new Set(first.problems);
  let twice: readonly Ghost[] = [];
  const before = ghostsIn(first.seen);
  if (before.length > 0) {
    command.say(`${count(before.length, 'candidate')} at the first look; looking again in ${betweenMs / 1000} s`);
    await io.sleep(betweenMs);
    const second = await look(command);
    for (const one of second.silent) silent.add(one);
    for (const one of second.problems) problems.add(one);
    twice = inBoth(before, ghostsIn(second.seen));
  }
  const found = twice.filter((one) => !one.isUncertain);
  const uncertain = twice.filter((one) => one.isUncertain);
  for (const one of silent) command.say(paint(io, 'yellow', `! ${one}: what it runs is not known`));
  for (const one of problems) command.say(paint(io, 'red', `! ${clean(one)}: what was left there is not known`));
  if (first.left > 0)
    command.say(`the records of ${count(first.left, 'graph')} stopped longer ago were not looked through for late calls`);
  for (const { session, of = '', process = '', why } of uncertain)
    command.say(paint(io, 'yellow', clean(`? not certain: ${session} ${of} in ${process}: ${why}`)));
  if (found.length > 0) {
    const rows = found.map((one) => [
      one.class,
      clean(one.session),
      clean(one.of ?? ''),
      clean(one.process ?? ''),
      clean(one.why),
    ]);
    command.say(table([['class', 'session', 'call or grant', 'process', 'why'], ...rows], '').trimEnd());
    for (const one of new Set(found.map((ghost) => ghost.class))) command.say(`  ${one}: ${ghostClasses[one]}`);
  } else if (problems.size > 0) command.say('no ghost in what can be read');
  else if (uncertain.length > 0) command.say('no ghost that is certain');
  else command.say(silent.size > 0 ? 'no ghost among those that answered' : 'no ghosts');
  const isAll = silent.size === 0 && problems.size === 0 && uncertain.length === 0;
  return done(
    { ghosts: found, uncertain, silent: [...silent], ...(problems.size > 0 ? { problems: [...problems] } : {}) },
    found.length > 0 ? exit.failed : isAll ? exit.ok : exit.unconfirmed,
  );
}

const isNothing = ({ processes, isPartial, ...rest }: Seen): boolean =>
  !isPartial && [processes, rest.journals, rest.stops, rest.receipts, rest.grants].every((one) => one.length === 0);

/** Graphs that a terminate holds, of which something is alive: their journals say what began when. */
function fencedRoots(
  stops: readonly StoredStop[],
  receipts: readonly Receipt[],
  live: readonly SessionLine[],
): readonly string[] {
  const holdOf = folderHold(stops, new Map(live.map((line) => [line.id, { ...line, s: line.id }])));
  const isFenced = (id: string): boolean => receipts.some(({ stop, stages }) => stop.id === id && stages.fenced !== undefined);
  const held = live.filter((line) => {
    const hold = holdOf({ path: line.path });
    return hold?.action === 'terminate' && isFenced(hold.id);
  });
  return [...new Set(held.map(rootOf))];
}

/** So many graphs of which nothing may be alive any more are looked through, newest stop first: reading one is a few round trips to a Redis. */
const mostStopped = 200;

/** Graphs that terminates held, as their receipts tell it: what began in them too late may have ended since. */
function stoppedRoots(receipts: readonly Receipt[]): { readonly roots: readonly string[]; readonly left: number } {
  const roots = new Set<string>();
  for (const { stop, stages, sessions, released } of receipts)
    if (stop.action === 'terminate' && stages.fenced !== undefined && released === undefined)
      for (const { path } of sessions) if (path[0] !== undefined) roots.add(path[0]);
  return { roots: [...roots].slice(0, mostStopped), left: Math.max(0, roots.size - mostStopped) };
}

const rootOf = ({ path, id }: SessionLine): string => path[0] ?? id;

interface Look {
  readonly seen: Seen;
  readonly silent: readonly string[];
  /** What could not be read. */
  readonly problems: readonly string[];
  /** Stopped graphs whose records were not looked through. */
  readonly left: number;
}

async function look({ io, place }: Command): Promise<Look> {
  // The stops and receipts first: what begins after them is seen as later than they are, and never the other way about.
  const problems: string[] = [];
  const [stops, receipts] = [await place.stops(), await place.receipts((what) => problems.push(what))];
  const at = io.now();
  const statuses = await askAll(place, 'status', {}, statusIn);
  const withinMs = io.now() - at;
  const answers = await askAll(place, 'sessions', {}, sessionsIn);
  const silent = silentOnes(answers);
  const grants = await place.grants();
  const live = answers.answered.flatMap(({ value }) => value.filter((line) => !isEnded(line)));
  const { roots: stopped, left } = stoppedRoots(receipts);
  const { journals, damage } = await place.journals([...new Set([...fencedRoots(stops, receipts, live), ...stopped])]);
  if (damage !== undefined) problems.push(damage);
  const roots = [...live.map(rootOf), ...grants.map(({ record }) => record.path[0] ?? record.session)];
  const registered = await place.registered([...new Set(roots)]);
  const said = new Map(statuses.answered.map(({ process, value }) => [process, value]));
  return {
    silent,
    left,
    problems,
    seen: {
      at,
      withinMs,
      processes: answers.answered.map(({ process, value }) => {
        const { effectDeadlineMs, at: its } = said.get(process) ?? {};
        return {
          process,
          sessions: value,
          ...(effectDeadlineMs === undefined ? {} : { effectDeadlineMs }),
          ...(its === undefined ? {} : { at: its }),
        };
      }),
      isPartial: silent.length > 0 || problems.length > 0,
      journals,
      registered,
      stops,
      receipts,
      grants,
    },
  };
}
