// history.ts: who flipped what, when and why, as the source's own record has it.

import { type Command, type Done, done } from './command.ts';
import { controlOf } from './control-of.ts';
import { needDeclared } from './declared.ts';
import { CommandError, exit } from './failure.ts';
import { table } from './print.ts';

/** Newest first. `key`: of one switch. */
export async function history(command: Command, key: string | undefined, limit: number): Promise<Done> {
  const declared = await needDeclared(command.place);
  if (key !== undefined && !declared.switches.flags.some((flag) => flag.key === key)) {
    const known = declared.switches.flags.map((flag) => flag.key).join(', ');
    throw new CommandError('unknown_switch', `no switch has the key ${JSON.stringify(key)}; declared are: ${known}`, exit.usage);
  }
  const { control } = await controlOf(command, declared);
  const flips = await control.history({ ...(key === undefined ? {} : { key }), limit });
  if (flips.length === 0) command.say('no flip is on record');
  else {
    const rows = flips.map((one) => [new Date(one.at).toISOString(), one.action, one.key, one.target ?? '', one.by, one.reason]);
    command.say(table([['at', 'action', 'switch', 'for', 'by', 'reason'], ...rows], '').trimEnd());
  }
  return done({ flips });
}
