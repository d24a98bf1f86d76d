// lint.ts: every fault of a flag file, before it matters.

import { showFinding } from '@offswitch/flag-file';
import { type Command, type Done, done } from './command.ts';
import { readDeclared } from './declared.ts';
import { CommandError, exit } from './failure.ts';
import { clean, count, paint } from './print.ts';

export async function lint(command: Command, file: string | undefined): Promise<Done> {
  const declared = await readDeclared(command.place);
  const path = file ?? (declared?.source.kind === 'flag-file' ? declared.source.location : undefined);
  if (path === undefined)
    throw new CommandError(
      'no_file',
      `name the flag file: offswitch lint <file> (none is known from ${command.place.folder}). What a vendor has: offswitch inspect`,
      exit.usage,
    );
  let findings: Awaited<ReturnType<typeof command.place.lint>>;
  try {
    findings = await command.place.lint(path, declared?.switches);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError('file_unavailable', `${clean(path)} cannot be read: ${clean(why)}`, exit.failed, { cause: error });
  }
  const errors = findings.filter((one) => one.severity === 'error').length;
  for (const one of findings)
    command.say(
      paint(command.io, one.severity === 'error' ? 'red' : 'yellow', `${one.severity}: ${clean(showFinding(path, one))}`),
    );
  command.say(
    `${clean(path)}: ${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}${declared ? '' : ' (no declaration is known: keys that start with killswitch. were judged as switches)'}`,
  );
  return done({ file: path, findings }, errors > 0 ? exit.failed : exit.ok);
}
