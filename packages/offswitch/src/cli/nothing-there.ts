// nothing-there.ts: a place in which no application has written anything. Of a path or URL with a typo in it "nothing is wrong" would
// be the worst of answers.

import { CommandError } from './failure.ts';
import type { Place } from './place.ts';
import { clean } from './print.ts';

/** Throws `no_folder`. */
export function mustExist(place: Place): void {
  if (!place.exists())
    throw new CommandError('no_folder', `there is no state folder ${clean(place.folder)}; name the application's with --state`);
}

/** For a command that has found nothing at all: throws `no_folder`, or `no_state` where no switches were ever declared. */
export async function mustHaveBeenUsed(place: Place): Promise<void> {
  mustExist(place);
  if ((await place.document().catch(() => 'unreadable')) === undefined)
    throw new CommandError(
      'no_state',
      `no application has written anything into ${clean(place.folder)}; name the application's state with --state`,
    );
}
