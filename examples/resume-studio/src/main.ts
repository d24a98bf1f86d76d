// main.ts: `npm start`, and what comes after `--`.

import { runCompare } from './compare.ts';
import { StudioError } from './documents-error.ts';
import { runIncident } from './incident/incident.ts';
import { readOptions } from './options.ts';
import { openOutput } from './output.ts';
import { runFleet } from './run.ts';

/** A demonstration that nobody reads any more is over; nothing of it is kept. */
const endWhenUnread = (): void => void openOutput().unread.then(() => process.exit(1));

try {
  const options = readOptions(process.argv.slice(2), process.env);
  switch (options.mode) {
    case 'fleet':
      // Said outright: a call that was abandoned when it would not rest must not keep the process.
      process.exit(await runFleet(options));
      break;
    case 'compare':
      endWhenUnread();
      process.exitCode = await runCompare(options);
      break;
    case 'incident':
      endWhenUnread();
      process.exitCode = await runIncident(options);
      break;
  }
} catch (error) {
  const isOurs = StudioError.is(error) || (error instanceof Error && 'code' in error);
  process.stderr.write(
    `${isOurs ? (error as Error).message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  // Outright, as above: what was opened before the fault, a server or a runtime, must not keep the process.
  process.exit(1);
}
