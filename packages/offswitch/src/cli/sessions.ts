// sessions.ts: who runs, as a tree, and for each what holds it and why.

import { commandFor } from '@offswitch/runtime';
import { type Command, type Done, done } from './command.ts';
import { CommandError, exit } from './failure.ts';
import { knownSessions } from './known.ts';
import { isUnwritten } from './left-behind.ts';
import { mustHaveBeenUsed } from './nothing-there.ts';
import { clean, money, paint, table } from './print.ts';
import { inTreeOrder } from './tree.ts';
import { askAll, isEnded, type SessionLine, statusIn } from './wire.ts';

export async function sessions(command: Command, isAll: boolean): Promise<Done> {
  const { sessions: all, answers, silent, damage } = await knownSessions(command.place);
  const isNobody = answers.answered.length === 0;
  if (isNobody && silent.length > 0) {
    throw new CommandError('no_process', `${silent.join('; ')}; what is in force: offswitch status`, exit.failed);
  }
  if (isNobody && all.length === 0 && damage === undefined) await mustHaveBeenUsed(command.place);
  if (isNobody)
    command.say(
      `no process is running on ${clean(command.place.folder)}; these were left, and what nothing holds goes on at the next start`,
    );
  const statuses = isNobody ? [] : (await askAll(command.place, 'status', {}, statusIn)).answered.map((one) => one.value);
  if (isUnwritten(command.place, statuses))
    command.say(
      paint(
        command.io,
        'yellow',
        '! what runs could not write the folder when it started, and goes on with none of what was left there',
      ),
    );
  if (damage !== undefined) command.say(paint(command.io, 'red', `! not all of them: ${clean(damage)}`));
  const shown = inTreeOrder(all.filter((one) => isAll || !isEnded(one))).map(({ one }) => one);
  for (const one of silent) command.say(paint(command.io, 'yellow', `! ${one}`));
  const rows = shown.map((one) => [
    `${'  '.repeat(Math.min(one.path.length - 1, 8))}${one.id}`,
    one.agent,
    one.workflow,
    one.user ?? '',
    String(one.turn),
    money(one.costMicros),
    one.state,
    whyHeld(one),
  ]);
  command.say(table([['session', 'agent', 'workflow', 'user', 'turn', 'cost', 'state', 'held by'], ...rows], '').trimEnd());
  for (const one of shown) {
    for (const call of one.unknownCalls) {
      command.say(
        `${clean(one.id)}: nobody knows whether ${clean(call.id)} (${clean(call.name)}) happened; ${commandFor({ location: command.place.folder })} resolve ${clean(one.id)} ${clean(call.id)} --happened | --did-not`,
      );
    }
  }
  const hidden = all.length - shown.length;
  if (hidden > 0) command.say(`${hidden} ended; --all shows them`);
  if (damage !== undefined) return done({ sessions: shown, silent, problems: [damage] }, exit.failed);
  return done({ sessions: shown, silent });
}

function whyHeld(one: SessionLine): string {
  if (one.action === 'run') return one.unknownCalls.length > 0 ? 'a call of unknown outcome' : '';
  return `${one.tier ?? '?'} ${one.cause ?? '?'}: ${one.reason ?? 'no reason'}`;
}
