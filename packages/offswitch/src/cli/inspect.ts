// inspect.ts: what the source's management says of each switch, and whether it would stop anybody (S13).

import type { Inspection } from '@offswitch/core';
import { type Command, type Done, done } from './command.ts';
import { controlOf } from './control-of.ts';
import { needDeclared } from './declared.ts';
import { exit } from './failure.ts';
import { clean, count, paint } from './print.ts';
import { askAll, isEnded, sessionsIn } from './wire.ts';

const states: Readonly<Record<Inspection['engaged'], string>> = {
  everybody: 'engaged',
  targets: 'engaged for some',
  nobody: 'released',
  unknown: 'unknown',
};
/** More ids than this are counted and not listed. */
const shownTargets = 10;

/** Exits with 1 where a switch would not work. `kind`: another vendor than the one that is read now. */
export async function inspect(command: Command, kind: string | undefined): Promise<Done> {
  const { io } = command;
  const declared = await needDeclared(command.place);
  const ended = await endedSessions(command);
  const wired = await controlOf(command, declared, kind, (session) => ended.has(session));
  const inspections = await wired.control.inspect(declared.switches);
  command.say(`switches in ${clean(wired.location)}`);
  const widest = Math.max(0, ...inspections.map((one) => one.key.length));
  for (const one of inspections) {
    const colour = one.engaged === 'nobody' ? 'green' : one.engaged === 'unknown' ? 'yellow' : 'red';
    const ids = one.targets.slice(0, shownTargets).map(clean).join(', ');
    const more = one.targets.length > shownTargets ? `, and ${one.targets.length - shownTargets} more` : '';
    command.say(
      `  ${clean(one.key).padEnd(widest)}  ${paint(io, colour, states[one.engaged])}${ids === '' ? '' : `  [${ids}${more}]`}`,
    );
    for (const { code, severity, message } of one.findings)
      command.say(paint(io, severity === 'error' ? 'red' : 'yellow', `      ${severity} ${clean(code)}: ${clean(message)}`));
  }
  const findings = inspections.flatMap((one) => one.findings);
  const errors = findings.filter((one) => one.severity === 'error').length;
  command.say(`${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`);
  return done({ inspections }, errors > 0 ? exit.failed : exit.ok);
}

/** What the running processes know to have ended: a target that stops nobody any more. */
async function endedSessions(command: Command): Promise<ReadonlySet<string>> {
  const { answered } = await askAll(command.place, 'sessions', {}, sessionsIn);
  const all = answered.flatMap((one) => one.value);
  return new Set(all.filter(isEnded).map(({ id }) => id));
}
