// confirm.ts: nothing is flipped that a person has not said yes to, or a script with `--yes`.

import { CommandError, exit } from './failure.ts';
import type { Io } from './io.ts';

/** Throws `not_confirmed` unless somebody said yes. `question` names the outcome; no is the default. */
export async function confirm(io: Io, question: string, isYes: boolean): Promise<void> {
  if (isYes) return;
  if (!io.isInteractive) {
    throw new CommandError(
      'not_confirmed',
      'not confirmed: there is no terminal to ask at; add --yes to go ahead. Nothing was changed',
      exit.notConfirmed,
    );
  }
  const answer = (await io.ask(`${question} [y/N] `)).trim().toLowerCase();
  if (answer !== 'y' && answer !== 'yes')
    throw new CommandError('not_confirmed', 'not confirmed. Nothing was changed', exit.notConfirmed);
}
