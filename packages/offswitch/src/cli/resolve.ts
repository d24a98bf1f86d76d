// resolve.ts: a person's word on a call of unknown outcome. The first word stands.

import { checkId } from '@offswitch/core';
import { type Command, type Done, done } from './command.ts';
import { CommandError, exit } from './failure.ts';
import { clean } from './print.ts';
import { askOwner } from './resume.ts';

export interface Verdict {
  readonly happened?: boolean;
  readonly didNot?: boolean;
  /** JSON: the result to hand to the agent. */
  readonly value?: string;
}

export async function resolve(
  command: Command,
  session: string,
  call: string,
  options: Verdict,
  by: string,
  reason?: string,
): Promise<Done> {
  checkId('sessionId', session);
  if ((options.happened === true) === (options.didNot === true)) {
    throw new CommandError('verdict_missing', 'say what is true: --happened, or --did-not', exit.usage);
  }
  const verdict = options.happened === true ? 'happened' : 'did-not';
  if (options.value !== undefined && verdict === 'did-not')
    throw new CommandError('value_extra', 'what did not happen has no --value', exit.usage);
  const value = options.value === undefined ? {} : { value: parse(options.value) };
  const why = reason === undefined ? {} : { reason };
  if ((await command.place.ask('ping')).length > 0) {
    await askOwner(command, session, 'resolve', { session, call, verdict, by, ...why, ...value });
    command.say(
      `recorded: ${clean(call)} of ${clean(session)} ${verdict === 'happened' ? 'happened' : 'did not happen, and is made again'}; the session goes on where nothing else holds it`,
    );
    return done({ session, call, verdict, recordedBy: 'process' });
  }
  if (!command.place.exists())
    throw new CommandError('no_folder', `there is no state folder ${command.place.folder}; name the application's with --state`);
  if (!/^t\d+-\d+$/.test(call))
    throw new CommandError('unknown_call', `${JSON.stringify(clean(call))} is no call; calls are named like t3-2`, exit.usage);
  const isFirst = await command.place.resolve({ session, call, verdict, by, ...why, at: command.io.now(), ...value });
  if (!isFirst)
    throw new CommandError('already_resolved', `${call} of ${clean(session)} was settled before; the first word stands`);
  command.say(`recorded; no process is running, so whether ${clean(session)} has such a call is seen at start`);
  return done({ session, call, verdict, recordedBy: 'folder' });
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new CommandError('bad_value', `--value is no JSON (a text needs quotes of its own: --value '"sent"')`, exit.usage, {
      cause: error,
    });
  }
}
