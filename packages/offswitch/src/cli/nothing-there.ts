// nothing-there.ts: a place in which no application has written anything. Of a path or URL with a typo in it "nothing is wrong" would
// be the worst of answers.

import { CommandError } from './failure.ts';
import type { Place } from './place.ts';
import { clean } from './print.ts';

/** Throws `no_folder`, or `no_access` where that cannot be told. */
export function mustExist(place: Place): void {
  if (!place.exists())
    throw new CommandError('no_folder', `there is no state folder ${clean(place.folder)}; name the application's with --state`);
}

/** For a command that has found nothing at all: throws `no_folder`, or `no_state` where no switches were ever declared. */
export async function mustHaveBeenUsed(place: Place): Promise<void> {
  mustExist(place);
  if ((await place.document().catch(() => 'unreadable')) === undefined) throw new CommandError('no_state', nothingWritten(place));
}

/** Three things look alike, and people have to know which it is. */
export function nothingWritten(place: Place): string {
  return `no application has written down its switches in ${clean(place.folder)}: it is not the application's state (name that with --state), or is new, or has lost its data`;
}
